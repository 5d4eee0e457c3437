import PQueue from 'p-queue';

/**
 * A fixed number of slots; a task occupies one from its start to its end. Tasks start in the order they came.
 * A task must not wait for another task of the same pool: all slots could be taken by such waiters.
 */
export class SlotPool {
  readonly #queue: PQueue;

  constructor(slots: number) {
    this.#queue = new PQueue({ concurrency: slots });
  }

  /**
   * Runs `task` in the next free slot. An abort while it waits gives its place up and rejects with the signal's reason; once it runs, it keeps
   * its slot until it has settled, and heeds the signal itself.
   */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal === undefined) return this.#queue.add(task);
    signal.throwIfAborted();
    // p-queue would free the slot of a running task at the abort, before the task has ended: it only sees aborts while it waits.
    const waiting = new AbortController();
    const giveUp = (): void => {
      waiting.abort(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    const started = async (): Promise<T> => {
      signal.removeEventListener('abort', giveUp);
      return task();
    };
    return this.#queue.add(started, { signal: waiting.signal });
  }
}

/** The pools that bound all work of a process, by what the work waits for. */
export interface Slots {
  /** As many as there are processors. */
  readonly cpu: SlotPool;
  /** Reading and writing files. */
  readonly io: SlotPool;
  /** Connections to other machines. */
  readonly net: SlotPool;
}

const IO_SLOTS_PER_PROCESSOR = 2;
const NET_SLOTS = 4;

/** Opens the pools for a machine with this many processors. */
export function openSlots(processors: number): Slots {
  return {
    cpu: new SlotPool(processors),
    io: new SlotPool(IO_SLOTS_PER_PROCESSOR * processors),
    net: new SlotPool(NET_SLOTS),
  };
}
