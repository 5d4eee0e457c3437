import type { CacheKey } from './cache.ts';
import type { LockOptions } from './lock-wait.ts';

/** Makes sure that one step runs once at a time among all processes on one store. */
export interface StepLocks {
  /**
   * Waits until nobody else holds `key`; disposing gives it back, and so does dying. Whoever had to wait looks the step up again.
   * A holder waits for no other key, so there is no deadlock.
   */
  hold(key: CacheKey, o: LockOptions & { readonly signal: AbortSignal }): Promise<AsyncDisposable>;
}
