import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { syncFile } from './durable-file.ts';

const PERIOD_MS = 200;
const STEP_BYTES = 64 * 1024 * 1024;

/**
 * Syncs a file that someone else writes now and then while it grows, until disposed: the disk works beside the writer instead of after
 * it, and the sync that counts, at the end, is short. A large layer is stored in the time of the slower of both, not of their sum.
 */
export function syncWhileGrowing(path: string): AsyncDisposable {
  const stop = new AbortController();
  const watching = watch(path, stop.signal);
  return {
    [Symbol.asyncDispose]: () => {
      stop.abort();
      return watching;
    },
  };
}

/** Never fails: whatever is wrong with the file shows to its writer, or at the end. */
async function watch(path: string, signal: AbortSignal): Promise<void> {
  for (let synced = 0; !signal.aborted;) {
    await delay(PERIOD_MS, undefined, { signal, ref: false }).catch(() => undefined);
    const size = await sizeOf(path);
    if (signal.aborted || size - synced < STEP_BYTES) continue;
    await syncFile(path).catch(() => undefined);
    synced = size;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
