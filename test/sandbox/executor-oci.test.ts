import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { executorContract } from '../contracts/executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig } from '../support/step-rig.ts';

for (const runtime of ['runc', 'crun'])
  describeWith(['root', 'overlay', 'cc', 'busybox', runtime], runtime, () => {
    beforeAll(buildDist);
    executorContract(runtime, async (rig) => {
      const executor = await openExecutor({ runtime, stateDir: join(rig.top, 'state') });
      return { executor, [Symbol.asyncDispose]: () => executor[Symbol.asyncDispose]() };
    });

    it('no process and no bundle outlives its step', async () => {
      await using rig = await openStepRig();
      await using executor = await openExecutor({ runtime, stateDir: join(rig.top, 'state') });
      // A network of its own would have a helper that stays.
      for (const script of ['true', 'exit 3']) await rig.sh(executor, `sleep 600 & ${script}`, { network: 'host' });
      await expect(rig.run(executor, rig.spec(['nosuch'], { network: 'host' }))).rejects.toThrow('nosuch');
      expect(ownProcesses()).toEqual([]);
      expect(globSync(join(rig.top, 'state/runtime/*'))).toEqual([]);
    });
  });

/** The programs of our own children. */
function ownProcesses(): string[] {
  const ids = globSync(`/proc/${process.pid}/task/*/children`).flatMap((path) => readFileSync(path, 'utf8').split(' '));
  return ids.filter(Boolean).map((id) => readFileSync(`/proc/${id}/comm`, 'utf8').trimEnd());
}
