import { join } from 'node:path';
import { SlotPool } from '../core/concurrency.ts';
import type { WaitListener } from '../core/lock-wait.ts';
import { type LockMode, takeLock } from './lock-file.ts';

/**
 * What of the store only one may do at a time. `names`: change index.json, or remove what no name needs. `gate`: shared by those who
 * find a blob and mean to use it, exclusive for those who remove blobs. `index`: create, migrate or replace the cache index.
 */
export type StoreLock = 'names' | 'gate' | 'index';

/** A lock, and how it is wanted. */
export interface LockWish {
  readonly name: StoreLock;
  readonly mode: LockMode;
  readonly signal?: AbortSignal | undefined;
}

/** Told of waits for a lock of the store. */
export type StoreWaitListener = (lock: StoreLock, holder: string) => () => void;

/** The store's locks as one process uses them. */
export class StoreLocks {
  readonly #directory: string;
  readonly #waiting: StoreWaitListener;
  /** Within this process those who want a lock for themselves queue up; between processes they have to ask again and again. */
  readonly #queues = new Map<StoreLock, SlotPool>();
  readonly #shared = new Map<StoreLock, SharedHold>();

  constructor(directory: string, waiting: StoreWaitListener = () => () => undefined) {
    this.#directory = directory;
    this.#waiting = waiting;
  }

  /** Does `work` while holding a lock, after waiting for it. Dying gives it back. Locks are not reentrant. */
  locked<T>({ name, mode, signal }: LockWish, work: () => Promise<T>): Promise<T> {
    const path = join(this.#directory, name);
    const waiting: WaitListener = (holder) => this.#waiting(name, holder);
    if (mode === 'shared') {
      const hold = memo(this.#shared, name, () => new SharedHold(path, waiting));
      return hold.during(work);
    }
    const queue = memo(this.#queues, name, () => new SlotPool(1));
    return queue.run(() => during(takeLock(path, mode, { signal, waiting }), work), signal);
  }
}

/** One shared lock for all who want it at the same time in this process: looking up twenty blobs takes it once. */
class SharedHold {
  readonly #path: string;
  readonly #waiting: WaitListener;
  #users = 0;
  #lock: Promise<AsyncDisposable> | undefined;

  constructor(path: string, waiting: WaitListener) {
    this.#path = path;
    this.#waiting = waiting;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    this.#lock ??= takeLock(this.#path, 'shared', { waiting: this.#waiting });
    const lock = this.#lock;
    try {
      await lock;
      return await work();
    } finally {
      this.#users--;
      if (this.#users === 0) {
        this.#lock = undefined;
        await lock.then((held) => held[Symbol.asyncDispose]());
      }
    }
  }
}

async function during<T>(lock: Promise<AsyncDisposable>, work: () => Promise<T>): Promise<T> {
  await using held = new AsyncDisposableStack();
  held.use(await lock);
  return await work();
}

function memo<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}
