import { availableParallelism } from 'node:os';
import type { BuildRequest, BuildResult, StoreOptions } from './build-request.ts';
import { SlotPool } from './core/concurrency.ts';
import { together } from './core/together.ts';
import { BuildError } from './core/error.ts';
import { layerVertices } from './core/graph.ts';
import type { Diagnostic } from './core/diagnostic.ts';
import type { StepExplanation } from './core/explanation.ts';
import type { ImportedCache } from './core/imported-cache.ts';
import { type ProgressListener, tellWarning } from './core/progress.ts';
import { openAssembler, type Assembler } from './export/assemble.ts';
import { openInputs, parseInputs, type BuildInputs } from './wiring/inputs.ts';
import { exportCaches } from './wiring/cache-export.ts';
import { importCaches } from './wiring/cache-import.ts';
import { exportAll, needsImage, outputsOf, resultForm, type SolvedPlan } from './wiring/outputs.ts';
import { givenArgs, plan, platformsOf, type Plan } from './wiring/plan.ts';
import { makeRoom } from './wiring/store-space.ts';
import { explainSolution, historyName, recordHistory } from './wiring/step-history.ts';
import type { Dockerfile } from '../frontend/ast.ts';
import { checkOutcome } from '../frontend/lint/check-outcome.ts';
import { execHandler } from '../solver/ops/exec.ts';
import { fileHandler } from '../solver/ops/file.ts';
import { mergeHandler } from '../solver/ops/merge.ts';
import { sourceHandler } from '../solver/ops/source.ts';
import type { OpHandlers } from '../solver/op-handler.ts';
import { solve, type Solution } from '../solver/solver.ts';
import { showStoreWaits } from './wiring/store-wait.ts';
import { openWorkers, type Workers } from './wiring/workers.ts';

/** What every phase of one build shares. */
interface Build {
  readonly request: BuildRequest;
  readonly workers: Workers;
  readonly inputs: BuildInputs;
  readonly assembler: Assembler;
  readonly imported: ImportedCache | undefined;
  readonly emit: ProgressListener;
  readonly signal: AbortSignal;
  /** Shared by all platforms. */
  readonly steps: SlotPool;
}

/**
 * Builds what `request` asks for: parse, lower, solve, assemble, export.
 * When this settles nothing of the build is left but what it was asked to make.
 * @throws BuildError; `request.signal.reason` when aborted.
 */
export async function build(request: BuildRequest, store: StoreOptions): Promise<BuildResult> {
  const emit = request.progress ?? (() => undefined);
  const signal = request.signal ?? new AbortController().signal;
  const platforms = platformsOf(request);
  await using workers = await startWorkers(request, store, emit);
  await makeRoom(workers, { request, store, emit, signal });
  await using inputs = await openInputs(request, { workers, emit, signal });
  const dockerfile = parseInputs(inputs, request);
  const { content, index, sandbox, slots } = workers;
  const imported = await importCaches(request.cacheFrom ?? [], { workers, emit, signal });
  const remote = imported?.layers;
  await using assembler = openAssembler({ content, cache: index, codec: sandbox.layers, slots: slots.cpu, remote });
  const shared = {
    request,
    workers,
    inputs,
    assembler,
    imported,
    emit,
    signal,
    steps: new SlotPool(2 * Math.max(2, availableParallelism())),
  };

  const plans = await together(
    platforms,
    (platform, own) => plan(dockerfile, request, platform, { inputs, images: workers.images, emit, signal: own }),
    signal,
  );
  const warnings = warn(plans, dockerfile, request);
  announce(plans, emit);
  const solved = await solveAll(plans, shared);
  const [exported, explanations] = await both(
    exportAll(solved, request, { workers, assembler, remote, emit, signal }),
    Promise.all(solved.map((each) => keepHistory(each, dockerfile, shared))),
  );
  await exportCaches(solved, request, { workers, assembler, imported, emit, signal });
  const explained = request.explain === 'yes' ? { explanations: explanations.flat() } : {};
  return { ...exported, warnings, steps: countSteps(solved), ...explained };
}

function countSteps(solved: readonly Solved[]): BuildResult['steps'] {
  const cached = sum(solved.map(({ solution }) => solution.cached));
  const ran = sum(solved.map(({ solution }) => solution.ran));
  return { total: cached + ran, cached, ran };
}

function startWorkers(request: BuildRequest, store: StoreOptions, emit: ProgressListener): Promise<Workers> {
  const start = request.noCache === undefined ? 'lazy' : 'now';
  const notes = (text: string): void => tellWarning(emit, 'Sandbox', text);
  return openWorkers(store, { start, notes, storeWaits: showStoreWaits(emit) });
}

/** Tells the warnings and gives them. @throws CHECK_FAILED where the Dockerfile makes them errors */
function warn(plans: readonly Plan[], dockerfile: Dockerfile, request: BuildRequest): readonly Diagnostic[] {
  const warnings = plans[0]?.warnings ?? [];
  const { progress: emit = () => undefined } = request;
  for (const diagnostic of warnings) emit({ type: 'warning', diagnostic, timeMs: Date.now() });
  const outcome = checkOutcome(warnings, dockerfile, givenArgs(request));
  if (outcome.kind === 'violations') {
    const { rules } = outcome;
    const diagnostics = warnings.filter(({ code }) => rules.includes(code));
    throw new BuildError('CHECK_FAILED', { file: dockerfile.file, rules, diagnostics });
  }
  return warnings;
}

/** The results of both, or the first failure once both have settled. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<readonly [A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

function announce(plans: readonly Plan[], emit: ProgressListener): void {
  for (const { graph } of plans) {
    const steps = [...graph.values()].map(({ id, inputs, meta: { name, location } }) => ({
      id,
      name,
      inputs,
      ...(location === undefined ? {} : { location }),
    }));
    emit({ type: 'planned', steps, timeMs: Date.now() });
  }
}

interface Solved extends SolvedPlan {
  readonly solution: Solution;
}

/** All platforms at once. No step runs after them. */
async function solveAll(plans: readonly Plan[], shared: Build): Promise<readonly Solved[]> {
  const { signal, workers } = shared;
  const solved = await together(plans, (each, own) => solvePlan(each, { ...shared, signal: own }), signal);
  workers.sandbox.executor.rest();
  return solved;
}

async function solvePlan(each: Plan, shared: Build): Promise<Solved> {
  if (each.target === undefined) return { plan: each, stack: [], results: [], solution: NOTHING };
  const { workers, emit, signal, assembler } = shared;
  const isExported = outputsOf(shared.request).some(needsImage) ? layerVertices(each.graph, each.target) : new Set();
  const solution = await solve(
    each.graph,
    each.target,
    {
      handlers: handlersFor(shared),
      index: workers.index,
      imported: shared.imported,
      locks: workers.locks,
      files: workers.sandbox.files,
      hasLayer: (layer) => workers.sandbox.snapshotter.has(layer),
      steps: shared.steps,
      emit,
      committed: (layer, lower, vertex) => {
        if (isExported.has(vertex)) assembler.layerCommitted(layer, lower);
      },
    },
    { signal, result: resultForm(shared.request) },
  );
  const results = (shared.request.cacheTo ?? []).length === 0 ? [] : await solution.results();
  return { plan: each, stack: solution.stack, results, solution };
}

/** What an image without layers comes to. */
const NOTHING: Solution = {
  stack: [],
  cached: 0,
  ran: 0,
  outcomes: new Map(),
  traces: () => Promise.resolve(new Map()),
  results: () => Promise.resolve([]),
};

/** Remembers what the steps were; gives why they ran, where the request wants to know. */
async function keepHistory(
  { plan: each, solution }: Solved,
  dockerfile: Dockerfile,
  shared: Build,
): Promise<readonly StepExplanation[]> {
  const { request, workers, inputs } = shared;
  const { index, state, sandbox } = workers;
  const name = historyName(each, request, { inputs, state });
  const known = await index.lookupSteps(name);
  await recordHistory(index, { name, known, solution });
  if (request.explain !== 'yes') return [];
  return explainSolution(solution, each, { known, dockerfile, files: sandbox.files });
}

function handlersFor({ workers, inputs, request }: Build): OpHandlers {
  const { sandbox, images } = workers;
  const { http, git, locals, secrets } = inputs;
  return {
    source: sourceHandler({ images, http, git, locals }),
    exec: execHandler({ ...sandbox, secrets, allowed: allowedBy(request) }),
    file: fileHandler(sandbox.files),
    merge: mergeHandler,
  };
}

/** `--network host` on the command line is the user's own word, as good as `--allow network.host`. */
function allowedBy({ allow = [], network }: BuildRequest): ReadonlySet<string> {
  return new Set(network === 'host' ? [...allow, 'network.host'] : allow);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
