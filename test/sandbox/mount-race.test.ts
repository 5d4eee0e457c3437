import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { RuntimeMount } from '../../src/core/executor.ts';
import { isBuildError } from '../../src/core/error.ts';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig } from '../support/step-rig.ts';

const racer = new URL('fixtures/exchange.ts', import.meta.url).pathname;
const rounds = 60;

/** While a process exchanges `shared/victim`, a directory, with a link to the host's canary, steps mount from and into it. */
async function race(
  mountsOf: (shared: string) => readonly RuntimeMount[],
): Promise<{ seen: Set<string>; canary: string[]; failures: number }> {
  await using rig = await openStepRig();
  const [shared, canary] = [join(rig.top, 'shared'), join(rig.top, 'canary')];
  await mkdir(join(shared, 'victim/inner'), { recursive: true });
  await mkdir(join(canary, 'inner'), { recursive: true });
  await writeFile(join(canary, 'inner/secret'), 'host secret');
  const exchanger = fork(racer, [join(shared, 'victim'), canary]);
  await once(exchanger, 'message');
  await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
  const seen = new Set<string>();
  let failures = 0;
  for (let i = 0; i < rounds; i++) {
    const result = await rig
      .sh(executor, 'cat /mnt/secret /mnt/inner/secret 2>/dev/null; true', { mounts: mountsOf(shared) })
      .catch((error: unknown) => {
        if (!isBuildError(error, 'SANDBOX_FAILED')) throw error;
        failures += 1;
        return { stdout: '' };
      });
    seen.add(result.stdout);
  }
  const ended = once(exchanger, 'exit');
  exchanger.kill('SIGKILL');
  await ended;
  return { seen, failures, canary: (await readdir(canary, { recursive: true })).toSorted() };
}

describeWith(['root', 'overlay', 'busybox'], 'mounts while another process exchanges directories for links', () => {
  beforeAll(buildDist);
  it('source: never shows the host (CVE-2024-23651)', async () => {
    const { seen, canary } = await race((source) => [
      { type: 'bind', source, path: '/victim/inner', destination: '/mnt', access: 'read-write' },
    ]);
    expect([...seen]).toEqual(['']);
    expect(canary).toEqual(['inner', 'inner/secret']);
  });
  it('target and stubs: never touch the host (CVE-2021-30465, CVE-2024-23652)', async () => {
    const { canary, failures } = await race((source) => [
      { type: 'bind', source, path: '/', destination: '/shared', access: 'read-write' },
      { type: 'tmpfs', destination: '/shared/victim/stub/deep', mode: 0o755 },
      { type: 'file', destination: '/shared/victim/inner/secret', data: Buffer.from('x'), mode: 0o400, uid: 0, gid: 0 },
    ]);
    expect(canary).toEqual(['inner', 'inner/secret']);
    expect(failures).toBeLessThan(rounds);
  });
});
