import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { addProgram, openStepRig } from '../support/step-rig.ts';

/** Landlock scopes came with Linux 6.12, and a distribution may have left Landlock out. */
function hasScopes(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const lsm = '/sys/kernel/security/lsm';
  if (existsSync(lsm) && !readFileSync(lsm, 'utf8').includes('landlock')) return false;
  return major > 6 || (major === 6 && minor >= 12);
}

describeWith(['root', 'overlay', 'cc', 'busybox'], 'abstract sockets of the host', () => {
  beforeAll(buildDist);
  it.skipIf(!hasScopes())('are out of reach in the host’s network (CVE-2020-15257)', async () => {
    await using rig = await openStepRig();
    await addProgram(rig, 'connect');
    const name = `@tsbuild-test-${process.pid}`;
    const server = createServer((client) => client.end('reached\n'));
    await new Promise<void>((resolve) => server.listen(name.replace('@', '\0'), resolve));
    try {
      await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
      const { stdout, stderr } = await rig.run(executor, rig.spec(['connect', name], { network: 'host' }));
      expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'connect: Operation not permitted\n' });
    } finally {
      server.close();
    }
  });
});
