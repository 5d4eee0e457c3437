import type { BuildRequest } from '../build-request.ts';
import type { CacheIndex, StepRecord } from '../core/cache.ts';
import type { StepExplanation } from '../core/explanation.ts';
import type { FileBackend } from '../core/file-backend.ts';
import { formatPlatform } from '../oci/platform.ts';
import type { Dockerfile } from '../../frontend/ast.ts';
import { declaredArgs } from '../../frontend/build-args.ts';
import { explainSteps, type TracedStep } from '../../solver/explain.ts';
import type { Solution } from '../../solver/solver.ts';
import { decodeStepTrace, toStepRecord } from '../../solver/step-trace.ts';
import type { BuildInputs } from './inputs.ts';
import type { Plan } from './plan.ts';
import type { Workers } from './workers.ts';

/** The name under which the steps of one Dockerfile in one context for one platform are remembered. */
export function historyName(
  { platform }: Pick<Plan, 'platform'>,
  request: BuildRequest,
  o: { readonly inputs: Pick<BuildInputs, 'dockerfile' | 'locals'>; readonly state: Workers['state'] },
): string {
  const { context } = request;
  const root = o.inputs.locals.get('context')?.root ?? '';
  // What was unpacked or checked out for this build lies in the store, in another place each time.
  const fetched = root === '' || root.startsWith(`${o.state.root}/`);
  const place = fetched ? (context.kind === 'location' ? context.location : context.kind) : root;
  return JSON.stringify([place, o.inputs.dockerfile.path, formatPlatform(platform)]);
}

/** Remembers what the steps of a build were, as far as that is new. */
export async function recordHistory(
  index: Pick<CacheIndex, 'recordSteps'>,
  {
    name,
    known,
    solution,
  }: { readonly name: string; readonly known: readonly StepRecord[]; readonly solution: Solution },
): Promise<void> {
  const traces = await solution.traces();
  const before = new Map(known.map((step) => [JSON.stringify([step.stage, step.position]), step]));
  const records = Array.from(traces, ([id, trace]) => toStepRecord(trace, solution.outcomes.get(id)?.durationMs));
  const changed = records.filter(({ stage, position, text, trace, durationMs }) => {
    const last = before.get(JSON.stringify([stage, position]));
    return last?.text !== text || last.trace !== trace || (durationMs !== undefined && last.durationMs !== durationMs);
  });
  if (changed.length > 0) await index.recordSteps(name, changed);
}

/** Why the steps that ran did. */
export async function explainSolution(
  solution: Solution,
  { graph }: Pick<Plan, 'graph'>,
  history: History,
): Promise<readonly StepExplanation[]> {
  const steps = Array.from(await solution.traces(), ([id, trace]): TracedStep => {
    const meta = graph.get(id)?.meta;
    const state = solution.outcomes.get(id)?.kind ?? 'cached';
    return { name: meta?.name ?? trace.text, trace, state, cache: meta?.ignoreCache === true ? 'ignore' : 'use' };
  });
  return explainTraced(steps, history);
}

/** What steps are compared with, and what tells their files and arguments. */
export interface History {
  readonly known: readonly StepRecord[];
  readonly dockerfile: Dockerfile;
  readonly files: Pick<FileBackend, 'lookupSelection'>;
}

/** Why steps ran or would run; those that no instruction stands for are left out. */
export async function explainTraced(
  steps: readonly TracedStep[],
  { known, dockerfile, files }: History,
): Promise<readonly StepExplanation[]> {
  const earlier = known.flatMap((record) => decodeStepTrace(record) ?? []);
  const explained = await explainSteps(steps, earlier, {
    buildArgs: declaredArgs(dockerfile),
    lookupSelection: async (digest) => files.lookupSelection?.(digest),
  });
  return explained.filter(({ name }) => !name.startsWith('[internal]'));
}
