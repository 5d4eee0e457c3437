import { BuildError } from '../core/error.ts';
import type { RunningSteps } from '../core/running-steps.ts';
import type { StoreHandle } from '../store-handle.ts';

/** The commands on steps that run. */
export function runningStepCommands(steps: RunningSteps): Pick<StoreHandle, 'runningSteps' | 'controlStep'> {
  return {
    runningSteps: () => steps.list(),
    controlStep: async (prefix, what) => {
      const id = await wholeId(steps, prefix);
      await steps.control(id, what);
      return id;
    },
  };
}

async function wholeId(steps: RunningSteps, prefix: string): Promise<string> {
  const found = (await steps.list()).filter(({ id }) => prefix !== '' && id.startsWith(prefix));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only.id;
  const problem = `${found.length === 0 ? 'no' : 'more than one'} running step has the id ${JSON.stringify(prefix)}`;
  throw new BuildError('USAGE', { problem, suggestion: 'see: tsbuild steps ls' });
}
