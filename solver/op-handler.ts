import type { WaitListener } from '../src/core/lock-wait.ts';
import type { ProgressEvent, ProgressListener } from '../src/core/progress.ts';
import type { Op, Vertex } from '../src/core/graph.ts';
import type { ResourceUsage } from '../src/core/executor.ts';
import type { Selection, Tree } from '../src/core/tree.ts';
import type { KeyField } from './cache-key.ts';

/** How an input takes part in the keys of the vertex that uses it. */
export type InputUse =
  /** By what it is: its recipe, or its layers. */
  | { readonly by: 'identity' }
  /** By the content of the files that matter: an equal result of another recipe is a hit. */
  | { readonly by: 'content'; readonly selections: readonly Selection[] };

/** What identifies a vertex' work, its inputs apart. */
export interface CacheMap {
  /** Absent: the op has no identity before it ran (a build context); only content tells. */
  readonly fields: readonly KeyField[] | undefined;
  /** One per input, in order. */
  readonly inputs: readonly InputUse[];
  /** `never`: the result is cheap to make again or kept elsewhere; no record is looked up or written. */
  readonly records: 'keep' | 'never';
}

/** What a handler may use while it works on one vertex. */
export interface OpContext {
  readonly vertex: Vertex;
  /** The vertices of the inputs, in order. */
  readonly inputs: readonly Vertex[];
  readonly signal: AbortSignal;
  readonly emit: ProgressListener;
}

/** What running gave. */
export interface OpResult {
  readonly tree: Tree;
  readonly usage?: ResourceUsage;
}

/** Knows one kind of op. */
export interface OpHandler<O extends Op> {
  /** May ask the outside world (has this URL changed?), but needs no input to be built. */
  cacheMap(op: O, context: OpContext): CacheMap | Promise<CacheMap>;
  run(op: O, inputs: readonly Tree[], context: OpContext): Promise<OpResult>;
}

/** One handler per kind; a new op does not compile until it is handled. */
export type OpHandlers = { readonly [K in Op['kind']]: OpHandler<Extract<Op, { kind: K }>> };

/** `emit` for one vertex: the event's step and time are filled in. */
export function statusEmitter(
  context: OpContext,
): (status: { id: string; current: number; total?: number; unit?: 'bytes' | 'files' }) => void {
  return (status) => {
    const event: ProgressEvent = { type: 'status', step: context.vertex.id, ...status, timeMs: Date.now() };
    context.emit(event);
  };
}

/** Shows a wait for a lock as a part of the step; `work` says what its holder does with it. */
export function announceWait({ vertex, emit }: Pick<OpContext, 'vertex' | 'emit'>, work: string): WaitListener {
  return (holder) => {
    const status = {
      type: 'status',
      step: vertex.id,
      id: `waiting for ${holder}, which ${work}`,
      unit: 'none',
    } as const;
    emit({ ...status, current: 0, timeMs: Date.now() });
    return () => emit({ ...status, current: 1, total: 1, timeMs: Date.now() });
  };
}
