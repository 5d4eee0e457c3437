import { readdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { digestHex } from '../../src/oci/digest.ts';
import { openStepLocks, sweepStepLocks } from '../../src/store/step-locks.ts';
import { cacheKey } from '../contracts/cache-index.ts';
import { temporaryStore } from '../support/store-rig.ts';

const { signal } = new AbortController();

it('step locks: one holder of a key at a time, and no file stays', async () => {
  await using store = await temporaryStore();
  const locks = openStepLocks(store.state);
  let [holders, most, turns] = [0, 0, 0];
  const work = async (): Promise<void> => {
    await using _ = await locks.hold(cacheKey('k'), { signal });
    most = Math.max(most, ++holders);
    turns++;
    await delay(0);
    holders--;
  };
  await Promise.all(Array.from({ length: 20 }, work));
  expect([most, turns]).toEqual([1, 20]);
  expect(readdirSync(join(store.state.root, 'locks/steps'))).toEqual([]);
});

it('step locks: other keys do not wait', async () => {
  await using store = await temporaryStore();
  const locks = openStepLocks(store.state);
  await using _ = await locks.hold(cacheKey('1'), { signal });
  await using other = await locks.hold(cacheKey('2'), { signal });
  expect(other).toBeDefined();
});

it('step locks: waiting ends with the signal', async () => {
  await using store = await temporaryStore();
  const locks = openStepLocks(store.state);
  await using _ = await locks.hold(cacheKey('k'), { signal });
  const stop = new AbortController();
  const waiting = locks.hold(cacheKey('k'), { signal: stop.signal });
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});

it('step locks: those of a killed process are free, and its files are swept', async () => {
  await using store = await temporaryStore();
  const program = `
    import { openStepLocks } from ${JSON.stringify(join(import.meta.dirname, '../../src/store/step-locks.ts'))};
    const { signal } = new AbortController();
    const locks = openStepLocks({ root: process.argv[1] });
    globalThis.held = [];
    for (const key of process.argv.slice(2)) globalThis.held.push(await locks.hold(key, { signal }));
    process.stdout.write('held');
    setInterval(() => undefined, 1000);`;
  const keys = [cacheKey('1'), cacheKey('2')];
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, store.state.root, ...keys], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  using cleanup = new DisposableStack();
  cleanup.defer(() => child.kill('SIGKILL'));
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  const locks = openStepLocks(store.state);
  const waiting = locks.hold(keys[0]!, { signal });
  expect(await Promise.race([waiting, delay(30, 'waits')])).toBe('waits');
  child.kill('SIGKILL');
  await using _ = await waiting;
  await closed;
  await sweepStepLocks(store.state);
  expect(readdirSync(join(store.state.root, 'locks/steps'))).toEqual([digestHex(keys[0]!)]);
});
