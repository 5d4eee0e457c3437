import type { CacheIndex, CacheRecord } from '../src/core/cache.ts';
import type { ImportedCache, StepResult } from '../src/core/imported-cache.ts';
import type { SlotPool } from '../src/core/concurrency.ts';
import { BuildError, invariant } from '../src/core/error.ts';
import type { FileBackend } from '../src/core/file-backend.ts';
import {
  reachable,
  refreshedVertices,
  type BuildGraph,
  type Op,
  type Vertex,
  type VertexId,
} from '../src/core/graph.ts';
import type { ProgressListener } from '../src/core/progress.ts';
import type { LayerId, LayerStack } from '../src/core/snapshot.ts';
import type { StepLocks } from '../src/core/step-locks.ts';
import type { Tree } from '../src/core/tree.ts';
import { formatFields } from './cache-key.ts';
import {
  announceWait,
  type CacheMap,
  type OpContext,
  type OpHandler,
  type OpHandlers,
  type OpResult,
} from './op-handler.ts';
import { traceSteps, type StepTrace } from './step-trace.ts';
import { VertexKeys, type ExplainedKey } from './vertex-keys.ts';
import { lookupRecord } from './lookup-record.ts';

/** What the solver needs of the rest. */
export interface SolverPorts {
  readonly handlers: OpHandlers;
  readonly index: Pick<CacheIndex, 'lookup' | 'record'>;
  /** What other machines made; its layers come here when a step needs them. */
  readonly imported?: Pick<ImportedCache, 'lookup' | 'unpack' | 'fetchBlobs'> | undefined;
  readonly locks: StepLocks;
  readonly files: Pick<FileBackend, 'contentDigest'>;
  /** Whether a recorded layer is still there. */
  readonly hasLayer: (layer: LayerId) => Promise<boolean>;
  /** Bounds how many steps run at once. */
  readonly steps: SlotPool;
  readonly emit: ProgressListener;
  /** Called for each layer as soon as it is committed, with the stack it lies on and the vertex that made it. */
  readonly committed?: (layer: LayerId, lower: LayerStack, vertex: VertexId) => void;
}

/** How far the result of the target has to be here: unpacked, as blobs, or only as what is known of it. */
export type ResultForm = 'files' | 'blobs' | 'record';

/** What solving gave; only steps that make a layer are counted. */
export interface Solution {
  /** Layers of an imported cache are among them where the result was not wanted unpacked. */
  readonly stack: LayerStack;
  readonly cached: number;
  readonly ran: number;
  /** By vertex, those that the solver looked at: what lies below a hit was not. */
  readonly outcomes: ReadonlyMap<VertexId, StepOutcome>;
  /** What every step that makes a layer was made of. */
  readonly traces: () => Promise<ReadonlyMap<VertexId, StepTrace>>;
  /** What is known of the results of all steps that make a layer, those below a hit too, in the graph's order. */
  readonly results: () => Promise<readonly StepResult[]>;
}

/** What became of a vertex. */
export interface StepOutcome {
  readonly kind: 'cached' | 'ran';
  /** How long it took, now or when it ran; absent where it is not worth a record. */
  readonly durationMs?: number;
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
  o: { readonly signal: AbortSignal; readonly result?: ResultForm },
): Promise<Solution> {
  return new SolveRun(reachable(graph, target), ports, o.signal).solve(target, o.result ?? 'files');
}

class SolveRun {
  readonly #graph: BuildGraph;
  readonly #ports: SolverPorts;
  readonly #failure = new AbortController();
  readonly #signal: AbortSignal;
  readonly #keys: VertexKeys;
  readonly #trees = new Map<VertexId, Promise<Tree>>();
  /** The trees that were needed unpacked. */
  readonly #unpacked = new Map<VertexId, Promise<Tree>>();
  readonly #cacheMaps = new Map<VertexId, Promise<CacheMap>>();
  readonly #refreshed: ReadonlySet<VertexId>;
  readonly #finished = new Set<VertexId>();
  readonly #outcomes = new Map<VertexId, StepOutcome>();

  constructor(graph: BuildGraph, ports: SolverPorts, signal: AbortSignal) {
    this.#graph = graph;
    this.#refreshed = refreshedVertices(graph);
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

  async solve(target: VertexId, form: ResultForm): Promise<Solution> {
    let tree: Tree;
    try {
      tree = await this.#target(target, form);
    } catch (error) {
      throw this.#failure.signal.aborted ? this.#failure.signal.reason : error;
    } finally {
      await Promise.allSettled(this.#trees.values());
      await Promise.allSettled(this.#unpacked.values());
    }
    invariant(tree.kind === 'layers', 'the target is a tree of layers');
    this.#completeUntouched();
    const steps = [...this.#graph.values()].filter((vertex) => makesLayer(vertex.op));
    const ran = steps.filter((vertex) => this.#outcomes.get(vertex.id)?.kind === 'ran').length;
    const traces = (): Promise<ReadonlyMap<VertexId, StepTrace>> =>
      traceSteps(this.#graph, {
        cacheMap: (vertex) => this.#cacheMap(vertex),
        recipe: (vertex) => this.#keys.recipe(vertex),
      });
    const results = (): Promise<readonly StepResult[]> => this.#results(steps);
    return { stack: tree.stack, cached: steps.length - ran, ran, outcomes: this.#outcomes, traces, results };
  }

  async #target(id: VertexId, form: ResultForm): Promise<Tree> {
    if (form === 'files') return this.#unpackedTree(id);
    const tree = await this.#tree(id);
    if (form === 'record' || tree.kind !== 'layers' || this.#ports.imported === undefined) return tree;
    const fetched = await this.#ports.imported.fetchBlobs(tree.stack, { signal: this.#signal });
    return fetched === 'there' ? tree : this.#unpackedTree(id);
  }

  #tree(id: VertexId): Promise<Tree> {
    let tree = this.#trees.get(id);
    if (tree === undefined) {
      tree = this.#make(this.#vertex(id)).catch((error: unknown) => this.#fail(id, error));
      this.#trees.set(id, tree);
    }
    return tree;
  }

  /** The vertex' tree with all its layers unpacked. What an imported cache promised and does not give is made here. */
  #unpackedTree(id: VertexId): Promise<Tree> {
    let unpacked = this.#unpacked.get(id);
    if (unpacked === undefined) {
      unpacked = this.#unpack(this.#vertex(id));
      this.#unpacked.set(id, unpacked);
    }
    return unpacked;
  }

  async #unpack(vertex: Vertex): Promise<Tree> {
    const { imported } = this.#ports;
    let tree = await this.#tree(vertex.id);
    for (;;) {
      if (imported === undefined || tree.kind !== 'layers') return tree;
      const stack = await imported.unpack(tree.stack, { signal: this.#signal });
      if (stack !== undefined) return this.#recordUnpacked(vertex, { from: tree.stack, stack });
      tree = await this.#make(vertex, 'unpacked').catch((error: unknown) => this.#fail(vertex.id, error));
    }
  }

  async #recordUnpacked(vertex: Vertex, o: { readonly from: LayerStack; readonly stack: LayerStack }): Promise<Tree> {
    const { from, stack } = o;
    const isSame = stack.every((layer, place) => layer === from[place]);
    const recipe = isSame || !makesLayer(vertex.op) ? undefined : await this.#keys.recipe(vertex);
    const record = recipe === undefined ? undefined : this.#ports.imported?.lookup(recipe.key);
    if (recipe !== undefined && record !== undefined) {
      await this.#ports.index.record([recipe.key], { ...record, stack, fields: formatFields(recipe.fields) });
    }
    return { kind: 'layers', stack };
  }

  /** A step finds its inputs unpacked; what only stacks or fetches them does so where an imported result turned out to be lost. */
  async #make(vertex: Vertex, stacked: 'as known' | 'unpacked' = 'as known'): Promise<Tree> {
    const map = await this.#cacheMap(vertex);
    if (map.records === 'never') return this.#run(vertex, await this.#inputs(vertex, stacked));
    const recipe = await this.#keys.recipe(vertex);
    const recorded = this.#refreshed.has(vertex.id) ? undefined : recipe?.key;
    const byRecipe = await lookupRecord(this.#ports, recorded);
    if (byRecipe !== undefined) return this.#finishCached(vertex, byRecipe);
    const inputs = await this.#inputs(vertex, 'unpacked');
    const result = await this.#keys.result(vertex, inputs);
    if (vertex.meta.ignoreCache === true) return this.#runRecorded(vertex, inputs, result);
    // By recipe: two processes that unpack one base image at the same time have different layers for it.
    const waiting = announceWait(this.#context(vertex), 'runs the same step');
    await using _ = await this.#ports.locks.hold(recorded ?? result.key, { signal: this.#signal, waiting });
    const meanwhile = await lookupRecord(this.#ports, recorded);
    if (meanwhile !== undefined) return this.#finishCached(vertex, meanwhile);
    const byResult = await lookupRecord(this.#ports, result.key);
    // Awaited here: what is held is given back when this function ends.
    if (byResult === undefined) return await this.#runRecorded(vertex, inputs, result);
    if (recipe !== undefined) await this.#ports.index.record([recipe.key], byResult);
    return this.#finishCached(vertex, byResult);
  }

  #inputs(vertex: Vertex, as: 'as known' | 'unpacked'): Promise<readonly Tree[]> {
    return Promise.all(vertex.inputs.map((id) => (as === 'unpacked' ? this.#unpackedTree(id) : this.#tree(id))));
  }

  async #results(steps: readonly Vertex[]): Promise<readonly StepResult[]> {
    const found = await Promise.all(
      steps.map(async (vertex): Promise<readonly StepResult[]> => {
        const key = (await this.#keys.recipe(vertex))?.key;
        const record = await lookupRecord(this.#ports, key);
        if (key === undefined || record === undefined) return [];
        const { stack, createdMs, durationMs } = record;
        return [{ key, stack, createdMs, durationMs }];
      }),
    );
    return found.flat();
  }

  async #run(vertex: Vertex, inputs: readonly Tree[]): Promise<Tree> {
    const { emit, steps } = this.#ports;
    const step = vertex.id;
    let startedMs = 0;
    const work = (): Promise<OpResult> => {
      this.#signal.throwIfAborted();
      startedMs = Date.now();
      emit({ type: 'started', step, timeMs: startedMs });
      return this.#handler(vertex.op).run(vertex.op, inputs, this.#context(vertex));
    };
    const { tree, usage } = await (makesLayer(vertex.op) ? steps.run(work) : work());
    const timeMs = Date.now();
    this.#finished.add(step);
    this.#outcomes.set(step, { kind: 'ran', durationMs: timeMs - startedMs });
    emit({ type: 'completed', step, cached: 'no', ...(usage === undefined ? {} : { usage }), timeMs });
    this.#announceLayer(vertex, tree);
    return tree;
  }

  async #runRecorded(vertex: Vertex, inputs: readonly Tree[], result: ExplainedKey): Promise<Tree> {
    const tree = await this.#run(vertex, inputs);
    invariant(tree.kind === 'layers', 'only sources give local trees');
    const recipe = await this.#keys.recipe(vertex);
    const durationMs = this.#outcomes.get(vertex.id)?.durationMs ?? 0;
    const fields = formatFields((recipe ?? result).fields);
    const record: CacheRecord = { stack: tree.stack, createdMs: Date.now(), durationMs, fields };
    await this.#ports.index.record(recipe === undefined ? [result.key] : [recipe.key, result.key], record);
    return tree;
  }

  #announceLayer({ id, op }: Vertex, tree: Tree): void {
    if (!makesLayer(op) || tree.kind !== 'layers') return;
    const layer = tree.stack.at(-1);
    if (layer !== undefined) this.#ports.committed?.(layer, tree.stack.slice(0, -1), id);
  }

  #finishCached(vertex: Vertex, hit: CacheRecord): Tree {
    this.#finished.add(vertex.id);
    this.#outcomes.set(vertex.id, { kind: 'cached', durationMs: hit.durationMs });
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
