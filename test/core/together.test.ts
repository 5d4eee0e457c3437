import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import { together } from '../../src/core/together.ts';

describe('together', () => {
  it('gives results in the order of the items', async () => {
    expect(await together([3, 1, 2], afterTurns)).toEqual([3, 1, 2]);
  });
  it('aborts the others at a failure, and throws it once they have ended', async () => {
    const failure = new Error('first');
    const ended: unknown[] = [];
    const tasks = together(['fails', 'waits'], async (item, signal) => {
      if (item === 'fails') throw failure;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await afterTurns(5);
      ended.push(signal.reason);
      throw new Error('second');
    });
    await expect(tasks).rejects.toBe(failure);
    expect(ended).toEqual([failure]);
  });
  it('passes the abort of its caller on', async () => {
    const caller = new AbortController();
    const tasks = together(
      [1],
      async (_, signal) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        signal.throwIfAborted();
      },
      caller.signal,
    );
    caller.abort(new Error('interrupted'));
    await expect(tasks).rejects.toThrow('interrupted');
  });
});

async function afterTurns(turns: number): Promise<number> {
  for (let left = turns; left > 0; left -= 1) await turn();
  return turns;
}
