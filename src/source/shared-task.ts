/** Runs work once for all who want it at the same time. It is aborted when nobody is left who waits for it. */
export class SharedTasks<K, T> {
  readonly #running = new Map<K, Running<T>>();

  /** The result of the work for `key`: that under way, or `work`, begun now. */
  async run(key: K, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const running = this.#running.get(key) ?? this.#start(key, work);
    running.waiting++;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const stop = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([running.result, aborted]);
    } finally {
      signal?.removeEventListener('abort', stop);
      running.waiting--;
      if (running.waiting === 0) await this.#abandon(key, running);
    }
  }

  #start(key: K, work: (signal: AbortSignal) => Promise<T>): Running<T> {
    const controller = new AbortController();
    const running: Running<T> = { controller, result: work(controller.signal), waiting: 0, ended: false };
    const end = (): void => {
      running.ended = true;
      if (this.#running.get(key) === running) this.#running.delete(key);
    };
    running.result.then(end, end);
    this.#running.set(key, running);
    return running;
  }

  /** Whoever aborts waits until the work has stopped, so that nothing of it goes on behind its back. */
  async #abandon(key: K, running: Running<T>): Promise<void> {
    if (running.ended) return;
    if (this.#running.get(key) === running) this.#running.delete(key);
    running.controller.abort(new DOMException('nobody waits for it any more', 'AbortError'));
    await running.result.catch(() => undefined);
  }
}

interface Running<T> {
  readonly controller: AbortController;
  readonly result: Promise<T>;
  waiting: number;
  ended: boolean;
}
