import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig, type SpecChange } from '../support/step-rig.ts';

/** The namespaces of a step of root's that are the host's. */
async function sharedNamespaces(change: SpecChange): Promise<readonly string[]> {
  await using rig = await openStepRig();
  await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
  const names = ['mnt', 'pid', 'uts', 'ipc', 'cgroup', 'net', 'user', 'time'];
  const script = names.map((each) => `readlink /proc/self/ns/${each}`).join(';');
  const inside = (await rig.sh(executor, script, change)).stdout.trimEnd().split('\n');
  const outside = await Promise.all(names.map((each) => readlink(`/proc/self/ns/${each}`)));
  expect(inside).toHaveLength(names.length);
  return names.filter((_, index) => inside[index] === outside[index]);
}

describeWith(['root', 'overlay', 'cc', 'busybox'], 'namespaces of root’s steps', () => {
  beforeAll(buildDist);
  it.each(['default', 'none'] as const)('namespaces: with network %s none is the host’s', async (network) => {
    expect(await sharedNamespaces({ network })).toEqual([]);
  });
  it('namespaces: that of users is the host’s with its network, and with all capabilities', async () => {
    expect(await sharedNamespaces({ network: 'host' })).toEqual(['net', 'user']);
    const change = { confinement: 'unconfined', process: { capabilities: 'all' } } as const;
    expect(await sharedNamespaces(change)).toEqual(['user']);
  });
});
