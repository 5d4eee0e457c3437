import type { Cause, FileChange, StepExplanation } from '../src/core/explanation.ts';
import type { SelectedFile } from '../src/core/file-backend.ts';
import type { Digest } from '../src/oci/digest.ts';
import { compareFiles, type FileList } from './compare-files.ts';
import { matchSteps } from './match-steps.ts';
import { maskValue } from './secret-look.ts';
import type { StepTrace, TracedInput } from './step-trace.ts';

/** One step of a build, and what became or would become of it. */
export interface TracedStep {
  /** As progress shows it. */
  readonly name: string;
  readonly trace: StepTrace;
  readonly state: StepExplanation['state'] | 'cached';
  readonly cache: 'use' | 'ignore';
}

/** What explaining may ask. */
export interface ExplainPorts {
  /** The files that a content digest was made from. */
  readonly lookupSelection: (digest: Digest) => Promise<readonly SelectedFile[] | undefined>;
  /** The names that ARG declares: which variables of a step are build args. */
  readonly buildArgs: ReadonlySet<string>;
}

const MAX_CHANGES = 100;

/** Why each step that was not cached ran, compared with what the same steps were before. */
export async function explainSteps(
  steps: readonly TracedStep[],
  earlier: readonly StepTrace[],
  ports: ExplainPorts,
): Promise<readonly StepExplanation[]> {
  const before = matchSteps(
    steps.map(({ trace }) => trace),
    earlier,
  );
  const cached = new Set(steps.filter(({ state }) => state === 'cached').map(({ trace }) => placeOf(trace)));
  const explained = await Promise.all(
    steps.map(async ({ name, trace, state, cache }, index): Promise<readonly StepExplanation[]> => {
      if (state === 'cached') return [];
      const { stage, position, text } = trace;
      const step = { stage, position, text };
      if (cache === 'ignore') return [{ name, step, state, causes: [{ kind: 'no-cache' }] }];
      const last = before[index];
      const causes = last === undefined ? [{ kind: 'new' } as const] : await compare(last, trace, ports);
      return [{ name, step, state, causes: smallest(causes, cached) }];
    }),
  );
  return explained.flat();
}

/** All that differs between two traces of a step: its own first, then what it takes from. */
async function compare(before: StepTrace, after: StepTrace, ports: ExplainPorts): Promise<readonly Cause[]> {
  return [
    ...compareFields(before, after, ports.buildArgs),
    ...(await compareInputs(before.inputs, after.inputs, ports)),
  ];
}

/** A step above that was cached after all gave what it gave before, so it is no cause, unless nothing else is. */
function smallest(causes: readonly Cause[], cached: ReadonlySet<string>): readonly Cause[] {
  if (causes.length === 0) return [{ kind: 'not-kept' }];
  const real = causes.filter((cause) => cause.kind !== 'step' || !cached.has(placeOf(cause.step)));
  return real.length === 0 ? causes : real;
}

function compareFields(before: StepTrace, after: StepTrace, buildArgs: ReadonlySet<string>): readonly Cause[] {
  const [old, now] = [byLabel(before), byLabel(after)];
  const labels = [...new Set([...now.keys(), ...old.keys()])].filter((label) => old.get(label) !== now.get(label));
  const reworded = before.text !== after.text;
  const instruction: Cause = { kind: 'instruction', before: before.text, after: after.text };
  const others = labels
    .filter((label) => !reworded || !isWording(label))
    .flatMap((label) => toCauses(label, { before: old.get(label), after: now.get(label), buildArgs }));
  // Another wording of the same thing (a comment, white space) is no cause.
  return [...(reworded && labels.some(isWording) ? [instruction] : []), ...others];
}

function isWording(label: string): boolean {
  return label === 'op' || label === 'args' || /^(action|mount) \d+$/.test(label);
}

/** Variables are told apart by their names: their places shift. */
function byLabel({ fields }: StepTrace): ReadonlyMap<string, string> {
  return new Map(fields.map(([label, value]) => [label.replace(/^env \d+ /, 'env '), value]));
}

interface Difference {
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly buildArgs: ReadonlySet<string>;
}

function toCauses(label: string, difference: Difference): readonly Cause[] {
  const { buildArgs } = difference;
  if (label.startsWith('env ')) {
    const name = label.slice('env '.length);
    return [{ kind: 'variable', name, of: buildArgs.has(name) ? 'build-arg' : 'env', ...shown(name, difference) }];
  }
  const name = label === 'epoch' ? 'SOURCE_DATE_EPOCH' : label === 'args' ? 'command' : label;
  return [{ kind: 'setting', name, ...shown('', difference) }];
}

function shown(name: string, { before, after }: Difference): { before?: string; after?: string } {
  return {
    ...(before === undefined ? {} : { before: maskValue(name, before) }),
    ...(after === undefined ? {} : { after: maskValue(name, after) }),
  };
}

async function compareInputs(
  before: readonly TracedInput[],
  after: readonly TracedInput[],
  ports: ExplainPorts,
): Promise<readonly Cause[]> {
  const causes = await Promise.all(after.map((input, index) => compareInput(before[index], input, ports)));
  const order: readonly Cause['kind'][] = ['base-image', 'files', 'remote', 'inputs', 'step'];
  return [...causes.flat(), ...(before.length > after.length ? [{ kind: 'inputs' } as const] : [])].toSorted(
    (a, b) => order.indexOf(a.kind) - order.indexOf(b.kind),
  );
}

async function compareInput(
  before: TracedInput | undefined,
  after: TracedInput,
  ports: ExplainPorts,
): Promise<readonly Cause[]> {
  if (before?.kind !== after.kind) return [{ kind: 'inputs' }];
  switch (after.kind) {
    case 'image':
      return before.kind === 'image' ? compareImages(before, after) : [];
    case 'step':
      return before.kind === 'step' && before.key === after.key ? [] : [{ kind: 'step', step: after.step }];
    case 'remote':
      return before.kind === 'remote' && before.key === after.key ? [] : [{ kind: 'remote', source: after.source }];
    case 'files':
      return before.kind === 'files' ? compareSelections(before, after, ports) : [];
  }
}

function compareImages(
  before: TracedInput & { readonly kind: 'image' },
  after: TracedInput & { readonly kind: 'image' },
): readonly Cause[] {
  if (before.digest === after.digest) return [];
  const renamed = before.reference !== after.reference;
  return [
    {
      kind: 'base-image',
      reference: after.reference,
      before: renamed ? `${before.reference}@${before.digest}` : before.digest,
      after: renamed ? `${after.reference}@${after.digest}` : after.digest,
    },
  ];
}

type Files = TracedInput & { readonly kind: 'files' };

async function compareSelections(before: Files, after: Files, ports: ExplainPorts): Promise<readonly Cause[]> {
  const different = after.digests.flatMap((digest, index) => (digest === before.digests[index] ? [] : [index]));
  if (different.length === 0) return before.digests.length === after.digests.length ? [] : [{ kind: 'inputs' }];
  const changes: FileChange[] = [];
  let total = 0;
  let known = true;
  for (const index of different) {
    const [old, now] = await Promise.all([listOf(before, index, ports), listOf(after, index, ports)]);
    if (old === undefined || now === undefined) known = false;
    else {
      changes.push(...compareFiles(old, now));
      total += now.files.filter(({ type }) => type !== 'directory').length;
    }
  }
  const paths = different.flatMap((index) => after.paths[index] ?? []).map((path) => path.replace(/^\//, '') || '.');
  const counts = known ? { total, changed: changes.length } : {};
  return [{ kind: 'files', from: after.name, paths, ...counts, changes: changes.slice(0, MAX_CHANGES) }];
}

async function listOf({ digests, paths }: Files, index: number, ports: ExplainPorts): Promise<FileList | undefined> {
  const digest = digests[index];
  const files = digest === undefined ? undefined : await ports.lookupSelection(digest as Digest);
  return files === undefined ? undefined : { files, paths: paths[index] ?? [] };
}

function placeOf({ stage, position }: { readonly stage: string; readonly position: number }): string {
  return JSON.stringify([stage, position]);
}
