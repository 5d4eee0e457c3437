import type { Diagnostic, SourceRange } from './diagnostic.ts';
import type { ResourceUsage } from './executor.ts';
import type { VertexId } from './graph.ts';

/** A step as progress shows it. Steps that are no vertex (resolving an image, exporting) have ids of their own. */
export interface StepInfo {
  readonly id: VertexId | string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly location?: SourceRange;
  /** Milliseconds it took last time, where known. */
  readonly expectedMs?: number;
}

/** Everything that happens in a build, in order; only renderers print. Times are milliseconds since the epoch. */
export type ProgressEvent =
  | { readonly type: 'planned'; readonly steps: readonly StepInfo[]; readonly timeMs: number }
  | { readonly type: 'started'; readonly step: string; readonly timeMs: number }
  | {
      /** How far a part of a step is: a blob's download, an export. Bytes unless `unit` says otherwise. */
      readonly type: 'status';
      readonly step: string;
      readonly id: string;
      readonly current: number;
      readonly total?: number;
      readonly unit?: 'bytes' | 'files' | 'none';
      readonly timeMs: number;
    }
  | {
      readonly type: 'output';
      readonly step: string;
      readonly stream: 'stdout' | 'stderr';
      readonly chunk: Uint8Array;
      readonly timeMs: number;
    }
  | {
      readonly type: 'completed';
      readonly step: string;
      readonly cached: 'yes' | 'no';
      readonly usage?: ResourceUsage;
      readonly timeMs: number;
    }
  | { readonly type: 'failed'; readonly step: string; readonly error: unknown; readonly timeMs: number }
  | { readonly type: 'canceled'; readonly step: string; readonly timeMs: number }
  | { readonly type: 'warning'; readonly diagnostic: Diagnostic; readonly timeMs: number };

/** Receives events; never throws, never blocks. */
export type ProgressListener = (event: ProgressEvent) => void;

/** Tells what nobody wrote into a file, but a person should know: `code` names the kind, `message` says it. */
export function tellWarning(emit: ProgressListener, code: string, message: string): void {
  emit({ type: 'warning', diagnostic: { severity: 'warning', code, message }, timeMs: Date.now() });
}
