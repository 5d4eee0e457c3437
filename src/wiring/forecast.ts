import type { BuildRequest, StoreOptions } from '../build-request.ts';
import type { ImportedCache } from '../core/imported-cache.ts';
import type { BuildGraph, Source, VertexId } from '../core/graph.ts';
import { lookupChain } from '../core/layer-chain.ts';
import { chainIds } from '../oci/chain-id.ts';
import type { LayerStack } from '../core/snapshot.ts';
import type { ResolvedImage } from '../core/source.ts';
import type { Tree } from '../core/tree.ts';
import { formatPlatform } from '../oci/platform.ts';
import { criticalPath } from '../../solver/critical-path.ts';
import type { TracedStep } from '../../solver/explain.ts';
import { forecast, type Forecast } from '../../solver/forecast.ts';
import { matchSteps } from '../../solver/match-steps.ts';
import type { ExplainResult, PlannedStep, PlanResult } from '../store-handle.ts';
import { importCaches } from './cache-import.ts';
import { openInputs, parseInputs, type BuildInputs } from './inputs.ts';
import { plan as planPlatform, platformsOf, type Plan } from './plan.ts';
import { explainTraced, historyName, type History } from './step-history.ts';
import { openWorkers, type Workers } from './workers.ts';

/** Why a build would run what it would run. @throws what the build would throw before its first step */
export function explain(request: BuildRequest, store: StoreOptions): Promise<ExplainResult> {
  return withForecasts(request, store, async (forecasts) => {
    const steps = forecasts.map(tracedSteps);
    const explanations = await Promise.all(
      forecasts.map(({ history }, index) => explainTraced(steps[index] ?? [], history)),
    );
    return { total: steps.flat().length, explanations: explanations.flat() };
  });
}

/** What a build would do. @throws what the build would throw before its first step */
export function plan(request: BuildRequest, store: StoreOptions): Promise<PlanResult> {
  return withForecasts(request, store, (forecasts) => {
    const steps = forecasts.map(plannedSteps);
    const pending = steps.flatMap((each) => [...each.values()]).filter(({ state }) => state !== 'cached');
    const paths = forecasts.map(({ graph }, index) => criticalPath(graph, (id) => pendingMs(steps[index]?.get(id))));
    return Promise.resolve({
      steps: steps.flatMap((each) => [...each.values()]),
      pullBytes: sum(new Map(forecasts.flatMap(({ missing }) => [...missing])).values()),
      totalMs: sum(pending.map(({ expectedMs = 0 }) => expectedMs)),
      criticalPathMs: Math.max(0, ...paths),
      unknown: pending.filter(({ expectedMs }) => expectedMs === undefined).length,
    });
  });
}

/** One platform's forecast. */
interface PlatformForecast extends Forecast {
  readonly platform: string;
  readonly graph: BuildGraph;
  readonly history: History;
  /** Sizes of the blobs that base images would need fetched, by digest. */
  readonly missing: ReadonlyMap<string, number>;
}

async function withForecasts<T>(
  request: BuildRequest,
  store: StoreOptions,
  work: (forecasts: readonly PlatformForecast[]) => Promise<T>,
): Promise<T> {
  const emit = request.progress ?? (() => undefined);
  const signal = request.signal ?? new AbortController().signal;
  await using workers = await openWorkers(store);
  await using inputs = await openInputs(request, { workers, emit, signal });
  const dockerfile = parseInputs(inputs, request);
  const imported = await importCaches(request.cacheFrom ?? [], { workers, emit, signal });
  const { images } = workers;
  const plans = await Promise.all(
    platformsOf(request).map((platform) =>
      planPlatform(dockerfile, request, platform, { inputs, images, emit, signal }),
    ),
  );
  const forecasts = await Promise.all(
    plans.map(async (each) => {
      const known = await workers.index.lookupSteps(historyName(each, request, { inputs, state: workers.state }));
      const history = { known, dockerfile, files: workers.sandbox.files };
      return forecastPlan(each, { workers, inputs, imported, history, signal });
    }),
  );
  return await work(forecasts);
}

interface Forecasting {
  readonly workers: Workers;
  readonly inputs: BuildInputs;
  readonly imported: ImportedCache | undefined;
  readonly history: History;
  readonly signal: AbortSignal;
}

async function forecastPlan(each: Plan, forecasting: Forecasting): Promise<PlatformForecast> {
  const { graph, target } = each;
  const { workers, inputs, imported, history, signal } = forecasting;
  const missing = new Map<string, number>();
  const images = new Map(each.bases.map((image) => [image.manifest.digest, image]));
  const sourceTree = async (source: Source): Promise<Tree | undefined> => {
    if (source.type === 'local') return inputs.locals.get(source.name);
    const image = source.type === 'image' ? images.get(source.digest) : undefined;
    if (image === undefined) return undefined;
    const stack = await unpackedStack(image, workers);
    if (stack === undefined) await addMissing(missing, image, workers);
    return stack === undefined ? undefined : { kind: 'layers', stack };
  };
  const none = { states: new Map(), traces: new Map() };
  const { snapshotter, files } = workers.sandbox;
  const ports = {
    index: workers.index,
    imported,
    files,
    hasLayer: (layer: LayerStack[number]) => snapshotter.has(layer),
    sourceTree,
  };
  const found = target === undefined ? none : await forecast(graph, target, ports, { signal });
  return { ...found, platform: formatPlatform(each.platform), graph, history, missing };
}

/** The image's layers where all of them are unpacked. */
async function unpackedStack(
  { config }: ResolvedImage,
  { index, sandbox }: Pick<Workers, 'index' | 'sandbox'>,
): Promise<LayerStack | undefined> {
  const chain = chainIds(config.rootfs.diff_ids).at(-1);
  return chain === undefined ? [] : lookupChain({ index, snapshots: sandbox.snapshotter }, chain);
}

async function addMissing(missing: Map<string, number>, image: ResolvedImage, { content }: Workers): Promise<void> {
  for (const { digest, size } of image.layers) {
    if ((await content.lookup(digest)) === undefined) missing.set(digest, size);
  }
}

function tracedSteps({ graph, traces, states }: PlatformForecast): readonly TracedStep[] {
  return Array.from(traces, ([id, trace]) => {
    const meta = graph.get(id)?.meta;
    const cache = meta?.ignoreCache === true ? 'ignore' : 'use';
    return { name: meta?.name ?? trace.text, trace, state: states.get(id) ?? 'cached', cache };
  });
}

function plannedSteps({
  graph,
  traces,
  states,
  history,
  platform,
}: PlatformForecast): ReadonlyMap<VertexId, PlannedStep> {
  const last = matchSteps([...traces.values()], history.known);
  const steps = Array.from(traces, ([id, trace], index): readonly [VertexId, PlannedStep] => {
    const meta = graph.get(id)?.meta;
    const location = meta?.location;
    const expectedMs = last[index]?.durationMs;
    return [
      id,
      {
        name: meta?.name ?? trace.text,
        stage: trace.stage,
        platform,
        ...(location === undefined ? {} : { location }),
        state: states.get(id) ?? 'cached',
        ...(expectedMs === undefined ? {} : { expectedMs }),
      },
    ];
  });
  return new Map(steps.filter(([, { name }]) => !name.startsWith('[internal]')));
}

function pendingMs(step: PlannedStep | undefined): number {
  return step === undefined || step.state === 'cached' ? 0 : (step.expectedMs ?? 0);
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const each of numbers) total += each;
  return total;
}
