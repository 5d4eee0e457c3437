import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WorkerPool } from '../../sandbox/worker-pool.ts';
import { openTemp } from '../support/temp.ts';

describe('worker pool', () => {
  it('jobs that are left half done hold up no others, however many there are', async () => {
    using temp = openTemp();
    writeFileSync(join(temp.path, 'large'), Buffer.alloc(32 << 20));
    await using pool = new WorkerPool();
    const sources = Array.from({ length: 5 }, () =>
      pool.source('exportTar', { directories: [temp.path], epochSeconds: undefined }),
    );
    const first = await Promise.all(sources.map((source) => source.next()));
    expect(first.every(({ value }) => value instanceof Uint8Array)).toBe(true);
    expect((await pool.call('measureTree', { directory: temp.path })).inodes).toBe(2);
    for (const source of sources) await source.return(undefined);
  });
  it('many calls at once are all answered, each its own', async () => {
    using temp = openTemp();
    for (let i = 0; i < 30; i++) writeFileSync(join(temp.path, `${i}`), `${i}`);
    await using pool = new WorkerPool();
    const texts = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        pool.call('readFile', { directories: [temp.path], path: `/${i}`, maxBytes: 100 }),
      ),
    );
    expect(texts.map((bytes) => Buffer.from(bytes ?? []).toString())).toEqual(texts.map((_, i) => `${i}`));
  });
  it('a job that waits for a thread can be given up', async () => {
    using temp = openTemp();
    await using pool = new WorkerPool();
    const running = pool.call('measureTree', { directory: temp.path });
    const stop = new AbortController();
    const waiting = pool.call('measureTree', { directory: temp.path }, { signal: stop.signal });
    stop.abort(new Error('given up'));
    await expect(waiting).rejects.toThrow('given up');
    await expect(running).resolves.toBeDefined();
  });
  it('disposing it fails what waits', async () => {
    using temp = openTemp();
    const pool = new WorkerPool();
    const calls = Promise.allSettled([1, 2, 3].map(() => pool.call('measureTree', { directory: temp.path })));
    await pool[Symbol.asyncDispose]();
    const ends = await calls;
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });
});
