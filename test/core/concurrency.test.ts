import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openSlots, SlotPool } from '../../src/core/concurrency.ts';

/** A task that runs until the test ends it. */
class Held {
  readonly #gate = Promise.withResolvers<string>();
  started = false;

  readonly task = (): Promise<string> => {
    this.started = true;
    return this.#gate.promise;
  };

  release(value = 'done'): void {
    this.#gate.resolve(value);
  }

  fail(error: Error): void {
    this.#gate.reject(error);
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

describe('SlotPool', () => {
  it('slots: as many tasks run at once, the next starts when one ends, in order', async () => {
    const pool = new SlotPool(2);
    const held = Array.from({ length: 4 }, () => new Held());
    const results = held.map(({ task }) => pool.run(task));
    await settle();
    expect(held.map(({ started }) => started)).toEqual([true, true, false, false]);
    held[1]!.release('second');
    expect(await results[1]).toBe('second');
    await settle();
    expect(held.map(({ started }) => started)).toEqual([true, true, true, false]);
    for (const task of held) task.release();
    expect(await Promise.all(results)).toEqual(['done', 'second', 'done', 'done']);
  });

  it('failures: reject their own run and free the slot', async () => {
    const pool = new SlotPool(1);
    const first = new Held();
    const failing = pool.run(first.task);
    const second = pool.run(async () => 'fine');
    first.fail(new Error('broken'));
    await expect(failing).rejects.toThrow('broken');
    expect(await second).toBe('fine');
    const throwing = pool.run(() => {
      throw new Error('at once');
    });
    await expect(throwing).rejects.toThrow('at once');
    expect(await pool.run(async () => 'again')).toBe('again');
  });

  it('abort before: rejects with the reason and never starts', async () => {
    const held = new Held();
    const reason = new Error('stopped');
    await expect(new SlotPool(1).run(held.task, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(held.started).toBe(false);
  });

  it('abort while waiting: rejects at once and leaves its place to others', async () => {
    const pool = new SlotPool(1);
    const controller = new AbortController();
    const [running, waiting, after] = [new Held(), new Held(), new Held()];
    const results = [pool.run(running.task), pool.run(waiting.task, controller.signal), pool.run(after.task)];
    const reason = new Error('stopped');
    controller.abort(reason);
    await expect(results[1]).rejects.toBe(reason);
    running.release();
    await settle();
    expect([waiting.started, after.started]).toEqual([false, true]);
    after.release();
    await Promise.all([results[0], results[2]]);
  });

  it('abort while running: the task keeps its slot until it has ended', async () => {
    const pool = new SlotPool(1);
    const controller = new AbortController();
    const [running, next] = [new Held(), new Held()];
    const first = pool.run(running.task, controller.signal);
    const second = pool.run(next.task);
    await settle();
    controller.abort(new Error('stopped'));
    await settle();
    expect(next.started).toBe(false);
    running.release('ended after all');
    expect(await first).toBe('ended after all');
    next.release();
    await second;
  });

  it('many waiters: one signal serves thousands, without a warning', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): void => {
      warnings.push(warning.name);
    };
    process.on('warning', listen);
    const pool = new SlotPool(2);
    const { signal } = new AbortController();
    let running = 0;
    let most = 0;
    const task = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await turn();
      running--;
    };
    await Promise.all(Array.from({ length: 3000 }, () => pool.run(task, signal)));
    await settle();
    process.off('warning', listen);
    expect(most).toBe(2);
    expect(warnings).toEqual([]);
  });
});

/** How many tasks the pool runs at once. */
async function capacity(pool: SlotPool): Promise<number> {
  const held = Array.from({ length: 500 }, () => new Held());
  const results = held.map(({ task }) => pool.run(task));
  await settle();
  const started = held.filter((task) => task.started).length;
  for (const task of held) task.release();
  await Promise.all(results);
  return started;
}

describe('openSlots', () => {
  it('pools: have slots by what their work waits for', async () => {
    const slots = openSlots(3);
    expect(await capacity(slots.cpu)).toBe(3);
    expect(await capacity(slots.io)).toBe(6);
    expect(await capacity(slots.net)).toBe(4);
  });
});
