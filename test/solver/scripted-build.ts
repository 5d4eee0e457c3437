import type { CacheKey, CacheRecord } from '../../src/core/cache.ts';
import { SlotPool } from '../../src/core/concurrency.ts';
import { GraphBuilder, type FileOp, type VertexId } from '../../src/core/graph.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import type { LayerId, LayerStack } from '../../src/core/snapshot.ts';
import type { LocalTree, Tree } from '../../src/core/tree.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { forecast, type Forecast } from '../../solver/forecast.ts';
import { execOp } from './exec-op.ts';
import { execCacheMap } from '../../solver/ops/exec.ts';
import { fileCacheMap } from '../../solver/ops/file.ts';
import { mergeHandler } from '../../solver/ops/merge.ts';
import type { OpHandlers, OpResult } from '../../solver/op-handler.ts';
import { solve, type Solution } from '../../solver/solver.ts';

/** A build whose steps do nothing but what a test tells them; the real cache maps make the keys. */
export class ScriptedBuild {
  /** The commands and destinations that ran, in the order in which they began. */
  readonly ran: string[] = [];
  readonly events: ProgressEvent[] = [];
  readonly committed: { layer: LayerId; lower: LayerStack }[] = [];
  /** What a step waits for, by its command. */
  readonly gates = new Map<string, Promise<unknown>>();
  /** What a step that was stopped still waits for before it lets go. */
  readonly lingers = new Map<string, Promise<unknown>>();
  /** The content of the build context: one value for all of it. */
  contextContent = 'v1';
  /** The content that a command's layer holds; its own name unless said otherwise. */
  readonly produces = new Map<string, string>();
  readonly layers = new Set<LayerId>();
  readonly builder = new GraphBuilder();
  steps = 8;

  readonly #records = new Map<CacheKey, CacheRecord>();
  readonly #contents = new Map<LayerId, string>();
  readonly #held = new Map<CacheKey, Promise<void>>();
  #nextLayer = 1;

  context(): VertexId {
    return this.builder.add({ kind: 'source', source: { type: 'local', name: 'context' } }, [], {
      name: 'load build context',
    });
  }

  copy(inputs: readonly VertexId[], o: { base: 'input' | 'scratch'; dest?: string; ignoreCache?: boolean }): VertexId {
    const from = o.base === 'input' ? 1 : 0;
    const op: FileOp = {
      kind: 'file',
      base: o.base,
      actions: [
        { type: 'copy', from, sources: ['/src'], dest: o.dest ?? '/', exclude: [], parents: 'drop', unpack: 'never' },
      ],
    };
    return this.builder.add(op, inputs, {
      name: `COPY ${o.dest ?? '/'}`,
      ...(o.ignoreCache === true ? { ignoreCache: true } : {}),
    });
  }

  run(
    command: string,
    inputs: readonly VertexId[] = [],
    o: { ignoreCache?: boolean; env?: readonly string[] } = {},
  ): VertexId {
    const root = inputs.length === 0 ? 'scratch' : 'input';
    const op = execOp({ root, args: [command], env: o.env ?? [], network: 'none' });
    const range = { file: 'Dockerfile', start: { line: 1, column: 1 }, end: { line: 1, column: 4 } };
    return this.builder.add(op, inputs, { name: `RUN ${command}`, location: range, ...o });
  }

  merge(inputs: readonly VertexId[]): VertexId {
    return this.builder.add({ kind: 'merge' }, inputs, { name: 'merge' });
  }

  solve(target: VertexId, signal?: AbortSignal): Promise<Solution> {
    this.ran.length = 0;
    this.events.length = 0;
    this.committed.length = 0;
    return this.solveBeside(target, signal);
  }

  /** Another solve on the same store, like one of another process. */
  solveBeside(target: VertexId, signal: AbortSignal = new AbortController().signal): Promise<Solution> {
    return solve(
      this.builder.build(),
      target,
      {
        handlers: this.#handlers(),
        index: {
          lookup: (key) => Promise.resolve(this.#records.get(key)),
          record: (keys, record) => {
            for (const key of keys) this.#records.set(key, record);
            return Promise.resolve();
          },
        },
        locks: { hold: (key) => this.#hold(key) },
        files: { contentDigest: (tree) => Promise.resolve(digestOf(this.#contentOf(tree))) },
        hasLayer: (layer) => Promise.resolve(this.layers.has(layer)),
        steps: new SlotPool(this.steps),
        emit: (event) => this.events.push(event),
        committed: (layer, lower) => this.committed.push({ layer, lower }),
      },
      { signal },
    );
  }

  #handlers(): OpHandlers {
    return {
      source: {
        cacheMap: () => ({ fields: undefined, inputs: [], records: 'never' }),
        run: () => Promise.resolve({ tree: CONTEXT }),
      },
      exec: {
        cacheMap: execCacheMap,
        run: (op, inputs, { signal }) => this.#step(op.args.join(' '), inputs[0], signal),
      },
      file: {
        cacheMap: fileCacheMap,
        run: (op, inputs, { signal, vertex }) =>
          this.#step(vertex.meta.name, op.base === 'input' ? inputs[0] : undefined, signal),
      },
      merge: mergeHandler,
    };
  }

  /** What solving `target` would do; base images are absent. */
  forecast(target: VertexId): Promise<Forecast> {
    const { signal } = new AbortController();
    return forecast(
      this.builder.build(),
      target,
      {
        index: { lookup: (key) => Promise.resolve(this.#records.get(key)) },
        files: { contentDigest: (tree) => Promise.resolve(digestOf(this.#contentOf(tree))) },
        hasLayer: (layer) => Promise.resolve(this.layers.has(layer)),
        sourceTree: (source) => Promise.resolve(source.type === 'local' ? CONTEXT : undefined),
      },
      { signal },
    );
  }

  /** Gives each key to one holder at a time, in the order in which they came. */
  async #hold(key: CacheKey): Promise<AsyncDisposable> {
    const before = this.#held.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(key, promise);
    await before;
    return { [Symbol.asyncDispose]: () => Promise.resolve(resolve()) };
  }

  async #step(name: string, base: Tree | undefined, signal: AbortSignal): Promise<OpResult> {
    this.ran.push(name);
    const gate = this.gates.get(name);
    try {
      if (gate !== undefined) await Promise.race([gate, aborted(signal)]);
    } finally {
      await this.lingers.get(name);
    }
    signal.throwIfAborted();
    const lower = base?.kind === 'layers' ? base.stack : [];
    const layer = this.makeLayer(this.produces.get(name) ?? name);
    return { tree: { kind: 'layers', stack: [...lower, layer] } };
  }

  #contentOf(tree: Tree): string {
    if (tree.kind === 'local') return this.contextContent;
    return tree.stack.map((layer) => this.#contents.get(layer) ?? '').join(',');
  }

  makeLayer(content: string): LayerId {
    const layer = `layer-${this.#nextLayer++}` as LayerId;
    this.layers.add(layer);
    this.#contents.set(layer, content);
    return layer;
  }
}

/** The context that `ScriptedBuild.context()` stands for. */
export const CONTEXT: LocalTree = { kind: 'local', name: 'context', root: '/context', ignore: [] };

/** Rejects when `signal` is aborted, like a step that is killed. */
function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}
