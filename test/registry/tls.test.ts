import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, it } from 'vitest';
import { openTestRegistry } from '../contracts/registry-server.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

describeWith(['openssl'], 'tls', () => {
  it('a registry is believed if somebody trusted has signed its certificate, and only then', async () => {
    await using folder = await temporaryDirectory();
    const [key, certificate] = [join(folder.path, 'key.pem'), join(folder.path, 'certificate.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const kind = ['-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-days', '1'];
    await checkProgram('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', certificate]);
    const cert = await readFile(certificate, 'utf8');
    const server = createServer({ key: await readFile(key), cert }, (_, response) => response.writeHead(404).end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const host = `localhost:${(server.address() as AddressInfo).port}`;
    // A registry behind it exists only as a mirror, because loopback is spoken to in plain HTTP otherwise.
    const mirrors = new Map([['x.invalid', [`https://${host}`]]]);
    const ask = async (): Promise<string> => {
      await using registry = openTestRegistry({ mirrors, limits: { attempts: 1 } });
      const reference = { registry: 'x.invalid', repository: 'a', tag: 'v1' };
      return await registry.resolve(reference).then(String, (error: unknown) => String(error));
    };
    const before = getCACertificates('default');
    try {
      expect(await ask()).toMatch(/self-signed certificate|DEPTH_ZERO_SELF_SIGNED_CERT/);
      setDefaultCACertificates([...before, cert]);
      expect(await ask()).toContain(`mirror https://${host} does not have it`);
    } finally {
      setDefaultCACertificates(before);
      server.closeAllConnections();
      server.close();
    }
  });
});
