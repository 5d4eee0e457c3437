import type { ProgressListener } from '../core/progress.ts';
import type { StoreLock, StoreWaitListener } from '../store/store-locks.ts';

const WORK: Readonly<Record<StoreLock, string>> = {
  names: 'prunes the store or names an image',
  gate: 'removes blobs',
  index: 'makes the cache index',
};

/** Shows each wait for a lock of the store as a step. */
export function showStoreWaits(emit: ProgressListener): StoreWaitListener {
  let waits = 0;
  return (lock, holder) => {
    const name = `[internal] waiting for ${holder}, which ${WORK[lock]}`;
    const step = `${name} ${++waits}`;
    emit({ type: 'planned', steps: [{ id: step, name, inputs: [] }], timeMs: Date.now() });
    emit({ type: 'started', step, timeMs: Date.now() });
    return () => emit({ type: 'completed', step, cached: 'no', timeMs: Date.now() });
  };
}
