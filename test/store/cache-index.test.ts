import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LayerId } from '../../src/core/snapshot.ts';
import { cacheIndexContract, cacheKey, cacheRecord, layerInfo } from '../contracts/cache-index.ts';
import { codeOf } from '../contracts/content-store.ts';
import { memoryCacheIndex } from '../support/memory-cache-index.ts';
import { openStore, temporaryDirectory, temporaryStore } from '../support/store-rig.ts';

cacheIndexContract('sqlite', temporaryStore);
cacheIndexContract('memory', async () => ({ cache: memoryCacheIndex(), [Symbol.asyncDispose]: async () => undefined }));

describe('sqlite cache index', () => {
  it('open: makes no file before it is used', async () => {
    await using store = await temporaryStore();
    expect(existsSync(store.state.index)).toBe(false);
    await store.cache.lookup(cacheKey('k'));
    expect(existsSync(store.state.index)).toBe(true);
  });
  it('open: another process sees what was recorded, also without the first one closing', async () => {
    await using directory = await temporaryDirectory();
    await using one = await openStore(join(directory.path, 's'));
    await using two = await openStore(join(directory.path, 's'));
    await one.cache.record([cacheKey('k')], cacheRecord('a'));
    expect(await two.cache.lookup(cacheKey('k'))).toEqual(cacheRecord('a'));
    await two.cache.recordLayer(layerInfo('b'));
    expect(await one.cache.lookupLayer('b' as LayerId)).toEqual(layerInfo('b'));
  });
  it('open: a file that is no database is moved aside', async () => {
    await using store = await temporaryStore();
    writeFileSync(store.state.index, 'this is no database at all, but longer than a header '.repeat(40));
    expect(await store.cache.lookup(cacheKey('k'))).toBeUndefined();
    await store.cache.record([cacheKey('k')], cacheRecord('a'));
    expect(await store.cache.lookup(cacheKey('k'))).toEqual(cacheRecord('a'));
    expect(existsSync(`${store.state.index}.unreadable`)).toBe(true);
  });
  it('open: damage in the middle of the file is found when it is met, and the file made anew', async () => {
    await using directory = await temporaryDirectory();
    {
      await using store = await openStore(join(directory.path, 's'));
      const keys = Array.from({ length: 2000 }, (_, i) => cacheKey(`key ${i}`));
      await Promise.all(keys.map((key) => store.cache.record([key], cacheRecord('a'))));
    }
    await using store = await openStore(join(directory.path, 's'));
    const size = 40_000;
    writeFileSync(store.state.index, Buffer.alloc(size, 0xff), { flag: 'r+' });
    await store.cache.record([cacheKey('new')], cacheRecord('b'));
    expect(await store.cache.lookup(cacheKey('new'))).toEqual(cacheRecord('b'));
  });
  it('open: a file of a newer tsbuild is left alone', async () => {
    await using store = await temporaryStore();
    const { DatabaseSync } = await import('node:sqlite');
    using newer = new DatabaseSync(store.state.index);
    newer.exec('pragma user_version=99');
    expect(await codeOf(store.cache.lookup(cacheKey('k')))).toBe('STORE_UNUSABLE');
  });
  it('open: several at once make one file', async () => {
    await using directory = await temporaryDirectory();
    const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(join(directory.path, 's'))));
    await Promise.all(stores.map((store, i) => store.cache.record([cacheKey(`${i}`)], cacheRecord(`${i}`))));
    const found = await Promise.all(stores.map((_, i) => stores[0]!.cache.lookup(cacheKey(`${i}`))));
    expect(found.map((record) => record?.stack[0])).toEqual(['0', '1', '2', '3', '4', '5']);
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
  });
  it('forget: keeps layers that a remaining record needs, and what was used since', async () => {
    await using store = await temporaryStore();
    for (const id of ['a', 'b', 'c', 'd']) await store.cache.recordLayer(layerInfo(id));
    await store.cache.record([cacheKey('1')], cacheRecord('a', 'b'));
    await store.cache.record([cacheKey('2')], cacheRecord('a', 'c'));
    const { results } = await store.cache.survey();
    const second = results.find(({ stack }) => stack.includes('c' as LayerId))!.id;
    const request = { results: [second], layers: ['a', 'b', 'c', 'd'] as LayerId[], keep: new Set(['d' as LayerId]) };
    expect(await store.cache.forget({ ...request, usedBeforeMs: store.state.openedMs })).toEqual([]);
    expect(await store.cache.forget({ ...request, usedBeforeMs: Date.now() + 1000 })).toEqual(['c']);
    expect(await store.cache.lookup(cacheKey('1'))).toBeDefined();
    expect(await store.cache.lookup(cacheKey('2'))).toBeUndefined();
    expect(await store.cache.lookupLayer('d' as LayerId)).toBeDefined();
  });
});
