import type { CacheIndex, CacheRecord } from '../src/core/cache.ts';
import { BuildError, invariant } from '../src/core/error.ts';
import type { ImportedCache } from '../src/core/imported-cache.ts';
import type { FileBackend } from '../src/core/file-backend.ts';
import {
  reachable,
  refreshedVertices,
  type BuildGraph,
  type Source,
  type Vertex,
  type VertexId,
} from '../src/core/graph.ts';
import type { LayerId } from '../src/core/snapshot.ts';
import type { Tree } from '../src/core/tree.ts';
import type { KeyField } from './cache-key.ts';
import type { CacheMap } from './op-handler.ts';
import { execCacheMap } from './ops/exec.ts';
import { fileCacheMap } from './ops/file.ts';
import { isRemote, knownIdentity } from './ops/source.ts';
import { traceSteps, type StepTrace } from './step-trace.ts';
import { VertexKeys } from './vertex-keys.ts';
import { lookupRecord } from './lookup-record.ts';

/** What forecasting needs; nothing of it fetches, and nothing is made. */
export interface ForecastPorts {
  readonly index: Pick<CacheIndex, 'lookup'>;
  readonly imported?: Pick<ImportedCache, 'lookup' | 'layers'> | undefined;
  readonly files: Pick<FileBackend, 'contentDigest'>;
  readonly hasLayer: (layer: LayerId) => Promise<boolean>;
  /** A source's tree as far as it is here. A local tree always is. */
  readonly sourceTree: (source: Source) => Promise<Tree | undefined>;
}

/** `may-run`: what it takes from would run, and might give the same files as before; or depends on what a URL gives. */
export type ForecastState = 'cached' | 'would-run' | 'may-run';

/** What a build would do. */
export interface Forecast {
  /** Of every vertex; what lies below a hit counts as cached. */
  readonly states: ReadonlyMap<VertexId, ForecastState>;
  readonly traces: ReadonlyMap<VertexId, StepTrace>;
}

/** Says what solving `target` would find in the cache and what it would run. @throws SOURCE_NOT_FOUND, as the build would */
export async function forecast(
  graph: BuildGraph,
  target: VertexId,
  ports: ForecastPorts,
  o: { readonly signal: AbortSignal },
): Promise<Forecast> {
  const run = new ForecastRun(reachable(graph, target), ports, o.signal);
  return run.run(target);
}

interface Expected {
  readonly state: ForecastState;
  /** Absent where it would have to be made first. */
  readonly tree?: Tree;
}

class ForecastRun {
  readonly #graph: BuildGraph;
  readonly #ports: ForecastPorts;
  readonly #signal: AbortSignal;
  readonly #keys: VertexKeys;
  readonly #expected = new Map<VertexId, Promise<Expected>>();
  readonly #refreshed: ReadonlySet<VertexId>;

  constructor(graph: BuildGraph, ports: ForecastPorts, signal: AbortSignal) {
    this.#graph = graph;
    this.#refreshed = refreshedVertices(graph);
    this.#ports = ports;
    this.#signal = signal;
    this.#keys = new VertexKeys({
      files: ports.files,
      signal,
      vertex: (id) => this.#vertex(id),
      cacheMap: (vertex) => this.#cacheMap(vertex),
      sourceTree: async (id) => {
        const { op } = this.#vertex(id);
        const tree = op.kind === 'source' ? await ports.sourceTree(op.source) : undefined;
        invariant(tree !== undefined, 'a source without a recipe is here');
        return tree;
      },
    });
  }

  async run(target: VertexId): Promise<Forecast> {
    await this.#expect(target);
    const states = new Map<VertexId, ForecastState>();
    for (const id of this.#graph.keys()) states.set(id, (await this.#expected.get(id))?.state ?? 'cached');
    const traces = await traceSteps(this.#graph, {
      cacheMap: (vertex) => this.#cacheMap(vertex),
      recipe: (vertex) => this.#keys.recipe(vertex),
    });
    return { states, traces };
  }

  #expect(id: VertexId): Promise<Expected> {
    let expected = this.#expected.get(id);
    if (expected === undefined) {
      const vertex = this.#vertex(id);
      expected = this.#look(vertex).catch((error: unknown) => {
        throw error instanceof BuildError ? error.at(vertex.meta.location) : error;
      });
      this.#expected.set(id, expected);
    }
    return expected;
  }

  async #look(vertex: Vertex): Promise<Expected> {
    this.#signal.throwIfAborted();
    if (vertex.op.kind === 'source') return this.#lookAtSource(vertex.op.source);
    const recipe = await this.#keys.recipe(vertex);
    const isStep = vertex.op.kind !== 'merge';
    const byRecipe =
      isStep && !this.#refreshed.has(vertex.id) ? await lookupRecord(this.#ports, recipe?.key) : undefined;
    if (byRecipe !== undefined) return this.#cached(byRecipe);
    const inputs = await Promise.all(vertex.inputs.map((input) => this.#expect(input)));
    const trees = inputs.flatMap(({ tree }) => (tree === undefined ? [] : [tree]));
    if (vertex.op.kind === 'merge') return merged(inputs, trees);
    if (vertex.meta.ignoreCache === true) return { state: 'would-run' };
    if (trees.length === inputs.length) {
      const result = await this.#keys.result(vertex, trees);
      const byResult = await lookupRecord(this.#ports, result.key);
      return byResult === undefined ? { state: 'would-run' } : this.#cached(byResult);
    }
    const { inputs: uses } = await this.#cacheMap(vertex);
    const isCertain = inputs.some(({ state }, index) => state === 'would-run' && uses[index]?.by === 'identity');
    return { state: isCertain ? 'would-run' : 'may-run' };
  }

  async #lookAtSource(source: Source): Promise<Expected> {
    const tree = await this.#ports.sourceTree(source);
    if (tree !== undefined) return { state: 'cached', tree };
    return { state: source.type === 'image' ? 'would-run' : 'may-run' };
  }

  /** Files that are no further than in an imported cache cannot be looked at. */
  #cached({ stack }: CacheRecord): Expected {
    const isHere = !stack.some((layer) => this.#ports.imported?.layers.lookup(layer) !== undefined);
    return isHere ? { state: 'cached', tree: { kind: 'layers', stack } } : { state: 'cached' };
  }

  #cacheMap(vertex: Vertex): Promise<CacheMap> {
    const { op } = vertex;
    const context = { inputs: vertex.inputs.map((input) => this.#vertex(input)) };
    switch (op.kind) {
      case 'exec':
        return Promise.resolve(execCacheMap(op, context));
      case 'file':
        return Promise.resolve(fileCacheMap(op, context));
      case 'merge':
        return Promise.resolve({
          fields: [['op', 'merge']],
          inputs: context.inputs.map(() => ({ by: 'identity' })),
          records: 'never',
        });
      case 'source':
        return Promise.resolve({ fields: identityOf(op.source), inputs: [], records: 'never' });
    }
  }

  #vertex(id: VertexId): Vertex {
    const vertex = this.#graph.get(id);
    invariant(vertex !== undefined, `vertex ${id} is in the graph`);
    return vertex;
  }
}

/** What a URL gives is not asked: such a key is never found. */
function identityOf(source: Source): readonly KeyField[] | undefined {
  if (!isRemote(source)) return knownIdentity(source);
  return [['not asked', source.type === 'http' ? source.url : source.remote]];
}

function merged(inputs: readonly Expected[], trees: readonly Tree[]): Expected {
  if (trees.length === inputs.length) {
    const stack = trees.flatMap((tree) => (tree.kind === 'layers' ? tree.stack : []));
    return { state: 'cached', tree: { kind: 'layers', stack } };
  }
  const states = inputs.map(({ state }) => state);
  if (states.every((state) => state === 'cached')) return { state: 'cached' };
  return { state: states.includes('would-run') ? 'would-run' : 'may-run' };
}
