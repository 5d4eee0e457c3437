import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { probeCapabilities } from '../../sandbox/capabilities.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';

describeWith(['root', 'overlay'], 'capabilities', () => {
  beforeAll(buildDist);
  it('are tried, told with their use, and leave nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tsbuild-probe-'));
    const found = await probeCapabilities(directory);
    expect(await readdir(directory)).toEqual([]);
    await rm(directory, { recursive: true });
    const tried = ['namespaces', 'network-namespace', 'seccomp', 'mount-api', 'overlay', 'proc'];
    expect(found.filter(({ name }) => tried.includes(name))).toMatchObject(
      tried.map((name) => ({ name, state: 'available', detail: 'tried and works', use: expect.any(String) as string })),
    );
    expect(new Set(found.map(({ name }) => name)).size).toBe(found.length);
  });
});
