import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LayerStore } from '../../sandbox/layer-store.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import { openTemp } from '../support/temp.ts';

async function committed(store: LayerStore): Promise<LayerId> {
  await using pending = store.create();
  writeFileSync(join(pending.upper, 'f'), 'content');
  return pending.commit();
}

describe('layer store', () => {
  it('opening and closing one touches nothing', async () => {
    using temp = openTemp();
    const store = new LayerStore(temp.at('s'));
    expect(await store.has('abc' as LayerId)).toBe(false);
    await store[Symbol.asyncDispose]();
    expect(existsSync(temp.at('s'))).toBe(false);
  });
  it('what it makes can be entered by its owner only', async () => {
    using temp = openTemp();
    await using store = new LayerStore(temp.at('s'));
    await committed(store);
    for (const name of ['layers', 'active', 'unsynced']) expect(statSync(temp.at('s', name)).mode & 0o777).toBe(0o700);
  });
  it('a killed process: what it committed is there, the rest is swept by the next one', async () => {
    using temp = openTemp();
    const child = fork(resolve(import.meta.dirname, 'fixtures/leave-behind.ts'), [temp.at('s')]);
    const ended = once(child, 'exit');
    const [id] = (await once(child, 'message')) as [LayerId];
    await using store = new LayerStore(temp.at('s'));
    const mine = await committed(store);
    expect(readdirSync(temp.at('s', 'active'))).toHaveLength(2);
    child.kill('SIGKILL');
    await ended;
    await using later = new LayerStore(temp.at('s'));
    await committed(later);
    expect(readdirSync(temp.at('s', 'active'))).toHaveLength(2);
    expect(await later.has(id)).toBe(true);
    expect(await later.has(mine)).toBe(true);
    expect(readFileSync(join(later.directoryOf(id), 'f'), 'utf8')).toBe('content');
  });
  it('a power failure: layers that were never synced are gone, others stay', async () => {
    using temp = openTemp();
    const ids: LayerId[] = [];
    {
      await using store = new LayerStore(temp.at('s'));
      ids.push(await committed(store), await committed(store));
    }
    const [boot = ''] = readdirSync(temp.at('s', 'unsynced'));
    expect(readdirSync(temp.at('s', 'unsynced', boot)).toSorted()).toEqual(ids.toSorted());
    // The first is old enough to be synced by the next process.
    const [old = '' as LayerId, fresh = '' as LayerId] = ids;
    utimesSync(temp.at('s', 'unsynced', boot, old), 1, 1);
    {
      await using store = new LayerStore(temp.at('s'));
      await committed(store);
    }
    expect(existsSync(temp.at('s', 'unsynced', boot, old))).toBe(false);
    renameSync(temp.at('s', 'unsynced', boot), temp.at('s', 'unsynced', 'another-boot'));
    await using store = new LayerStore(temp.at('s'));
    expect([await store.has(old), await store.has(fresh)]).toEqual([true, false]);
    expect(existsSync(temp.at('s', 'layers', fresh))).toBe(false);
    expect(readdirSync(temp.at('s', 'unsynced'))).toEqual([]);
  });
  it('a layer whose commit was cut off half-way is not there', async () => {
    using temp = openTemp();
    await using store = new LayerStore(temp.at('s'));
    mkdirSync(temp.at('s', 'layers', 'abc'), { recursive: true });
    expect(await store.has('abc' as LayerId)).toBe(false);
  });
  it('remove: not while another process holds the layer', async () => {
    using temp = openTemp();
    await using store = new LayerStore(temp.at('s'));
    await using other = new LayerStore(temp.at('s'));
    const id = await committed(store);
    const hold = await other.hold([id]);
    await store.remove(id);
    expect(await store.has(id)).toBe(true);
    hold[Symbol.dispose]();
    await other.remove(id);
    expect(await store.has(id)).toBe(false);
  });
});
