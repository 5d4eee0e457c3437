import type { CacheIndex, CacheKey, CacheRecord } from '../src/core/cache.ts';
import type { SlotPool } from '../src/core/concurrency.ts';
import { BuildError, invariant } from '../src/core/error.ts';
import type { FileBackend } from '../src/core/file-backend.ts';
import { reachable, type BuildGraph, type Op, type Vertex, type VertexId } from '../src/core/graph.ts';
import type { ProgressListener } from '../src/core/progress.ts';
import type { LayerId, LayerStack } from '../src/core/snapshot.ts';
import type { Tree } from '../src/core/tree.ts';
import { formatFields } from './cache-key.ts';
import type { CacheMap, OpContext, OpHandler, OpHandlers, OpResult } from './op-handler.ts';
import { VertexKeys, type ExplainedKey } from './vertex-keys.ts';

/** What the solver needs of the rest. */
export interface SolverPorts {
  readonly handlers: OpHandlers;
  readonly index: Pick<CacheIndex, 'lookup' | 'record' | 'recordStep'>;
  readonly files: Pick<FileBackend, 'contentDigest'>;
  /** Whether a recorded layer is still there. */
  readonly hasLayer: (layer: LayerId) => Promise<boolean>;
  /** Bounds how many steps run at once. */
  readonly steps: SlotPool;
  readonly emit: ProgressListener;
  /** Called for each layer as soon as it is committed, with the stack it lies on and the vertex that made it. */
  readonly committed?: (layer: LayerId, lower: LayerStack, vertex: VertexId) => void;
}

/** What solving gave; only steps that make a layer are counted. */
export interface Solution {
  readonly stack: LayerStack;
  readonly cached: number;
  readonly ran: number;
}

/**
 * Makes the tree of `target`: each vertex at most once, independent ones at the same time, nothing that a cache record answers.
 * When this settles nothing of the build is running any more.
 * @throws what the handlers throw, with the vertex' range; `signal.reason` when aborted.
 */
export async function solve(
  graph: BuildGraph,
  target: VertexId,
  ports: SolverPorts,
  o: { readonly signal: AbortSignal },
): Promise<Solution> {
  return new SolveRun(reachable(graph, target), ports, o.signal).solve(target);
}

class SolveRun {
  readonly #graph: BuildGraph;
  readonly #ports: SolverPorts;
  readonly #failure = new AbortController();
  readonly #signal: AbortSignal;
  readonly #keys: VertexKeys;
  readonly #trees = new Map<VertexId, Promise<Tree>>();
  readonly #cacheMaps = new Map<VertexId, Promise<CacheMap>>();
  readonly #refreshed = new Map<VertexId, boolean>();
  readonly #finished = new Set<VertexId>();
  readonly #ran = new Set<VertexId>();

  constructor(graph: BuildGraph, ports: SolverPorts, signal: AbortSignal) {
    this.#graph = graph;
    this.#ports = ports;
    this.#signal = AbortSignal.any([signal, this.#failure.signal]);
    this.#keys = new VertexKeys({
      files: ports.files,
      signal: this.#signal,
      vertex: (id) => this.#vertex(id),
      cacheMap: (vertex) => this.#cacheMap(vertex),
      sourceTree: (id) => this.#tree(id),
    });
  }

  async solve(target: VertexId): Promise<Solution> {
    let tree: Tree;
    try {
      tree = await this.#tree(target);
    } catch (error) {
      throw this.#failure.signal.aborted ? this.#failure.signal.reason : error;
    } finally {
      await Promise.allSettled(this.#trees.values());
    }
    invariant(tree.kind === 'layers', 'the target is a tree of layers');
    this.#completeUntouched();
    const steps = [...this.#graph.values()].filter((vertex) => makesLayer(vertex.op));
    const ran = steps.filter((vertex) => this.#ran.has(vertex.id)).length;
    return { stack: tree.stack, cached: steps.length - ran, ran };
  }

  #tree(id: VertexId): Promise<Tree> {
    let tree = this.#trees.get(id);
    if (tree === undefined) {
      tree = this.#make(this.#vertex(id)).catch((error: unknown) => this.#fail(id, error));
      this.#trees.set(id, tree);
    }
    return tree;
  }

  async #make(vertex: Vertex): Promise<Tree> {
    const map = await this.#cacheMap(vertex);
    if (map.records === 'never') return this.#run(vertex, await this.#inputs(vertex));
    const recipe = await this.#keys.recipe(vertex);
    const byRecipe = recipe === undefined || this.#isRefreshed(vertex) ? undefined : await this.#lookup(recipe.key);
    if (byRecipe !== undefined) return this.#finishCached(vertex, byRecipe);

    const inputs = await this.#inputs(vertex);
    const result = await this.#keys.result(vertex, inputs);
    const byResult = vertex.meta.ignoreCache === true ? undefined : await this.#lookup(result.key);
    if (byResult !== undefined) {
      if (recipe !== undefined) await this.#ports.index.record([recipe.key], byResult);
      return this.#finishCached(vertex, byResult);
    }
    const startedMs = Date.now();
    const tree = await this.#run(vertex, inputs);
    await this.#record(vertex, tree, { recipe, result, startedMs });
    return tree;
  }

  #inputs(vertex: Vertex): Promise<readonly Tree[]> {
    return Promise.all(vertex.inputs.map((input) => this.#tree(input)));
  }

  async #run(vertex: Vertex, inputs: readonly Tree[]): Promise<Tree> {
    const { emit, steps } = this.#ports;
    const step = vertex.id;
    const work = (): Promise<OpResult> => {
      this.#signal.throwIfAborted();
      emit({ type: 'started', step, timeMs: Date.now() });
      return this.#handler(vertex.op).run(vertex.op, inputs, this.#context(vertex));
    };
    const { tree, usage } = await (makesLayer(vertex.op) ? steps.run(work) : work());
    this.#finished.add(step);
    this.#ran.add(step);
    emit({ type: 'completed', step, cached: 'no', ...(usage === undefined ? {} : { usage }), timeMs: Date.now() });
    this.#announceLayer(vertex, tree);
    return tree;
  }

  async #record(
    vertex: Vertex,
    tree: Tree,
    o: { recipe: ExplainedKey | undefined; result: ExplainedKey; startedMs: number },
  ): Promise<void> {
    invariant(tree.kind === 'layers', 'only sources give local trees');
    const createdMs = Date.now();
    const fields = formatFields((o.recipe ?? o.result).fields);
    const record: CacheRecord = { stack: tree.stack, createdMs, durationMs: createdMs - o.startedMs, fields };
    const keys = o.recipe === undefined ? [o.result.key] : [o.recipe.key, o.result.key];
    await this.#ports.index.record(keys, record);
    await this.#ports.index.recordStep(vertex.meta.name, o.result.key);
  }

  #announceLayer({ id, op }: Vertex, tree: Tree): void {
    if (!makesLayer(op) || tree.kind !== 'layers') return;
    const layer = tree.stack.at(-1);
    if (layer !== undefined) this.#ports.committed?.(layer, tree.stack.slice(0, -1), id);
  }

  #finishCached(vertex: Vertex, hit: CacheRecord): Tree {
    this.#finished.add(vertex.id);
    this.#ports.emit({ type: 'completed', step: vertex.id, cached: 'yes', timeMs: Date.now() });
    return { kind: 'layers', stack: hit.stack };
  }

  /** The first failure stops everything; it alone is reported, with its place. What fails because of it is only canceled. */
  #fail(id: VertexId, error: unknown): never {
    const timeMs = Date.now();
    if (this.#signal.aborted) {
      if (!this.#finished.has(id)) this.#ports.emit({ type: 'canceled', step: id, timeMs });
      this.#finished.add(id);
      throw error;
    }
    const located = error instanceof BuildError ? error.at(this.#vertex(id).meta.location) : error;
    this.#finished.add(id);
    this.#ports.emit({ type: 'failed', step: id, error: located, timeMs });
    this.#failure.abort(located);
    throw located;
  }

  /** Vertices below a hit were never looked at; people still want to see that they are done. */
  #completeUntouched(): void {
    for (const id of this.#graph.keys()) {
      if (!this.#finished.has(id)) this.#ports.emit({ type: 'completed', step: id, cached: 'yes', timeMs: Date.now() });
    }
  }

  async #lookup(key: CacheKey): Promise<CacheRecord | undefined> {
    const record = await this.#ports.index.lookup(key);
    if (record === undefined) return undefined;
    const present = await Promise.all(record.stack.map((layer) => this.#ports.hasLayer(layer)));
    return present.every(Boolean) ? record : undefined;
  }

  /** Whether this vertex or one below it must run anew: what its recipe was recorded for may then be outdated. */
  #isRefreshed(vertex: Vertex): boolean {
    let refreshed = this.#refreshed.get(vertex.id);
    if (refreshed === undefined) {
      refreshed =
        vertex.meta.ignoreCache === true || vertex.inputs.some((input) => this.#isRefreshed(this.#vertex(input)));
      this.#refreshed.set(vertex.id, refreshed);
    }
    return refreshed;
  }

  #cacheMap(vertex: Vertex): Promise<CacheMap> {
    let map = this.#cacheMaps.get(vertex.id);
    if (map === undefined) {
      map = Promise.resolve(this.#handler(vertex.op).cacheMap(vertex.op, this.#context(vertex)));
      this.#cacheMaps.set(vertex.id, map);
    }
    return map;
  }

  #context(vertex: Vertex): OpContext {
    const inputs = vertex.inputs.map((input) => this.#vertex(input));
    return { vertex, inputs, signal: this.#signal, emit: this.#ports.emit };
  }

  #handler(op: Op): OpHandler<Op> {
    // The table is indexed by the op's own kind, so the handler fits; TypeScript cannot correlate the two.
    return this.#ports.handlers[op.kind];
  }

  #vertex(id: VertexId): Vertex {
    const vertex = this.#graph.get(id);
    invariant(vertex !== undefined, `vertex ${id} is in the graph`);
    return vertex;
  }
}

function makesLayer(op: Op): boolean {
  return op.kind === 'exec' || op.kind === 'file';
}
