import { registryServerContract } from '../contracts/registry-server.ts';
import { openDockerRegistry } from '../support/docker-registry.ts';
import { openFakeRegistry } from '../support/fake-registry.ts';
import { describeWith } from '../support/requires.ts';

registryServerContract('fake', () => openFakeRegistry());

describeWith(['docker-registry'], 'docker-registry', () => {
  registryServerContract('docker-registry', () => openDockerRegistry());
});
