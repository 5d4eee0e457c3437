import type { JobContext } from './file-jobs.ts';
import type { WorkerPool } from './worker-pool.ts';

/** About what a thread takes to start: whoever has read for that long has lost no more than that. */
const READING_MS = 25;
/** This thread is needed for other things again: enough to look at some 50,000 files. */
const LOOKING_MS = 250;

class TakesLonger extends Error {}

/**
 * Does on this thread a job that leaves no trace before its end, as long as no worker is up: a brief one, such as a look at files that are
 * known, ends before a worker would have started. `undefined` where it takes longer, and is for a worker to do from the beginning.
 */
export function beginHere<R>(pool: WorkerPool, job: (context: JobContext) => R): R | undefined {
  if (pool.isUp) return undefined;
  const beganMs = performance.now();
  const goOnUntil = (limitMs: number): void => {
    if (performance.now() - beganMs > limitMs) throw new TakesLonger();
  };
  const context: JobContext = {
    checkpoint: () => goOnUntil(LOOKING_MS),
    beforeRead: () => goOnUntil(READING_MS),
  };
  try {
    return job(context);
  } catch (error) {
    if (error instanceof TakesLonger) return undefined;
    throw error;
  }
}
