import { openSandbox } from '../../sandbox/open.ts';
import type { SandboxUnderTest } from '../contracts/snapshotter.ts';
import { openTemp } from './temp.ts';

/** A sandbox on a fresh store that disposing removes. */
export async function openSandboxRig(snapshotter: 'overlay' | 'copy'): Promise<SandboxUnderTest> {
  const temp = openTemp();
  const stateDir = temp.at('s');
  const sandbox = await openSandbox({ stateDir, snapshotter });
  return {
    sandbox,
    stateDir,
    [Symbol.asyncDispose]: async () => {
      await sandbox[Symbol.asyncDispose]();
      temp[Symbol.dispose]();
    },
  };
}
