import type { ProgressEvent } from '../core/progress.ts';
import type { ProgressChange } from './progress-state.ts';

/** One way of showing progress. */
export interface Renderer {
  /** Shows what `event` changed; the state that the change comes from has it already. */
  readonly show: (event: ProgressEvent, change: ProgressChange) => void;
  /** Leaves the screen in its final state; nothing is shown afterwards. */
  readonly end: () => void;
}

/** Shows nothing. */
export const silentRenderer: Renderer = { show: () => {}, end: () => {} };
