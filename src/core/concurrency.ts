import { availableParallelism } from 'node:os';
import PQueue from 'p-queue';

/** A number of slots; work beyond them waits its turn, first come first served. */
export class SlotPool {
  readonly #queue: PQueue;

  /** @param slots how many tasks run at once, at least one. */
  constructor(slots: number) {
    this.#queue = new PQueue({ concurrency: Math.max(1, slots) });
  }

  /**
   * Runs `task` as soon as a slot is free. Where `signal` is aborted by then the task is not begun.
   * A task that runs is always waited for: p-queue's own signal would let go of it.
   */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.add(() => {
      signal?.throwIfAborted();
      return task();
    });
  }
}

/** The slots of one build: `cpu` for work that computes, `io` for the disk, `net` for registries and downloads. */
export interface Slots {
  readonly cpu: SlotPool;
  readonly io: SlotPool;
  readonly net: SlotPool;
}

/** Pools sized to this machine. */
export function openSlots(): Slots {
  const cores = availableParallelism();
  return { cpu: new SlotPool(cores), io: new SlotPool(2 * cores), net: new SlotPool(4) };
}
