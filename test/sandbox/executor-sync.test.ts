import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { addProgram, openStepRig } from '../support/step-rig.ts';

const calls = [
  'fsync-bad-descriptor',
  'fdatasync-bad-descriptor',
  'syncfs-bad-descriptor',
  'msync-sync-unmapped',
  'msync-async-unmapped',
];

/** What the calls answer; on nonsense the kernel fails, so success shows that it was not asked. */
async function answers(
  o: { readonly syncSteps?: 'suppress' | 'real' },
  confinement: 'default' | 'unconfined',
): Promise<string[]> {
  await using rig = await openStepRig();
  await addProgram(rig, 'probe');
  await using executor = await openExecutor({ stateDir: join(rig.top, 'state'), ...o });
  const { stdout } = await rig.run(executor, rig.spec(['probe', ...calls], { confinement }));
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^[^:]*: /, ''));
}

describeWith(['root', 'overlay', 'cc', 'busybox'], 'syncing inside steps', () => {
  beforeAll(buildDist);
  it.each(['default', 'unconfined'] as const)(
    'is answered with success, but not msync(MS_ASYNC): %s',
    async (confinement) => {
      expect(await answers({}, confinement)).toEqual(['ok', 'ok', 'ok', 'ok', 'errno 12']);
    },
  );
  it('is real when asked for', async () => {
    expect(await answers({ syncSteps: 'real' }, 'default')).toEqual([
      'errno 9',
      'errno 9',
      'errno 9',
      'errno 12',
      'errno 12',
    ]);
  });
});
