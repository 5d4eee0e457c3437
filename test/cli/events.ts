import type { Diagnostic } from '../../src/core/diagnostic.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { ProgressState } from '../../src/cli/progress-state.ts';
import type { Renderer } from '../../src/cli/renderer.ts';

/** When the synthetic builds start. */
export const startMs = Date.UTC(2026, 0, 2);

/** Events with times in milliseconds since `startMs`. */
export const at = {
  planned: (ms: number, ...names: string[]): ProgressEvent => ({
    type: 'planned',
    steps: names.map((name, index) => ({ id: name, name, inputs: index === 0 ? [] : names.slice(index - 1, index) })),
    timeMs: startMs + ms,
  }),
  started: (ms: number, step: string): ProgressEvent => ({ type: 'started', step, timeMs: startMs + ms }),
  status: (
    ms: number,
    step: string,
    o: { id: string; current: number; total?: number; unit?: 'bytes' | 'files' | 'none' },
  ): ProgressEvent => ({
    type: 'status',
    step,
    ...o,
    timeMs: startMs + ms,
  }),
  output: (
    ms: number,
    step: string,
    text: string | Uint8Array,
    stream: 'stdout' | 'stderr' = 'stdout',
  ): ProgressEvent => ({
    type: 'output',
    step,
    stream,
    chunk: Buffer.from(text),
    timeMs: startMs + ms,
  }),
  done: (ms: number, step: string, cached: 'yes' | 'no' = 'no'): ProgressEvent => ({
    type: 'completed',
    step,
    cached,
    timeMs: startMs + ms,
  }),
  failed: (ms: number, step: string, error: unknown): ProgressEvent => ({
    type: 'failed',
    step,
    error,
    timeMs: startMs + ms,
  }),
  canceled: (ms: number, step: string): ProgressEvent => ({ type: 'canceled', step, timeMs: startMs + ms }),
  warning: (ms: number, diagnostic: Diagnostic): ProgressEvent => ({
    type: 'warning',
    diagnostic,
    timeMs: startMs + ms,
  }),
};

/** A state that has taken `events` in. */
export function stateAfter(...events: readonly ProgressEvent[]): ProgressState {
  const state = new ProgressState();
  for (const event of events) state.apply(event);
  return state;
}

/** Shows `events` from the first to the last, and the end. */
export function play(renderer: Renderer, events: readonly ProgressEvent[]): void {
  const state = new ProgressState();
  for (const event of events) renderer.show(event, state.apply(event));
  renderer.end();
}
