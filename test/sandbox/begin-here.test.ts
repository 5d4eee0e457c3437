import { describe, expect, it } from 'vitest';

import { beginHere } from '../../sandbox/begin-here.ts';
import { WorkerPool } from '../../sandbox/worker-pool.ts';
import { openTemp } from '../support/temp.ts';

describe('beginHere', () => {
  it('gives the result of a brief job, with no thread started', async () => {
    await using pool = new WorkerPool();
    expect(beginHere(pool, ({ checkpoint }) => checkpoint() ?? 'done')).toBe('done');
    expect(pool.isUp).toBe(false);
  });
  it('hands over what reads for longer', async () => {
    await using pool = new WorkerPool();
    const reads = beginHere(pool, ({ beforeRead }) => {
      for (;;) beforeRead();
    });
    expect(reads).toBe(undefined);
  });
  it('hands over what looks for longer', async () => {
    await using pool = new WorkerPool();
    const looks = beginHere(pool, ({ checkpoint }) => {
      for (;;) checkpoint();
    });
    expect(looks).toBe(undefined);
  });
  it('does nothing here once a thread is up', async () => {
    await using pool = new WorkerPool();
    using temp = openTemp();
    await pool.call('readFile', { directories: [temp.path], path: '/none', maxBytes: 1 });
    expect(pool.isUp).toBe(true);
    expect(beginHere(pool, () => 'done here')).toBe(undefined);
  });
  it('lets the failure of the job through', async () => {
    await using pool = new WorkerPool();
    const failure = new Error('no such file');
    const fails = (): unknown =>
      beginHere(pool, () => {
        throw failure;
      });
    expect(fails).toThrow(failure);
  });
});
