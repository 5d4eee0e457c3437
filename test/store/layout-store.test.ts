import { readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { codeOf, contentStoreContract } from '../contracts/content-store.ts';
import { memoryContentStore } from '../support/memory-content-store.ts';
import { temporaryStore } from '../support/store-rig.ts';

contentStoreContract('image layout', temporaryStore);
contentStoreContract('memory', async () => {
  const content = memoryContentStore();
  return { content, [Symbol.asyncDispose]: async () => content[Symbol.dispose]() };
});

describe('image layout store', () => {
  it('blobs: lie where the image layout has them, readable by their digest', async () => {
    await using store = await temporaryStore();
    const { digest } = await store.content.write(Buffer.from('hello'));
    expect(store.content.path(digest)).toBe(`${store.state.root}/blobs/sha256/${digest.slice(7)}`);
    expect(readFileSync(store.content.path(digest), 'utf8')).toBe('hello');
  });
  it('read: finds a blob that was changed on disk, of the same length or cut', async () => {
    await using store = await temporaryStore();
    const blob = await store.content.write(Buffer.from('hello'));
    writeFileSync(store.content.path(blob.digest), 'hellO');
    expect(await codeOf(Array.fromAsync(store.content.read(blob)))).toBe('DIGEST_MISMATCH');
    truncateSync(store.content.path(blob.digest), 2);
    expect(await codeOf(store.content.readDocument(blob))).toBe('DIGEST_MISMATCH');
  });
  it('lookup: marks a blob of an earlier time as used, once', async () => {
    await using store = await temporaryStore();
    const { digest } = await store.content.write(Buffer.from('hello'));
    utimesSync(store.content.path(digest), 1, 1);
    await store.content.lookup(digest);
    expect(statSync(store.content.path(digest)).mtimeMs).toBeGreaterThanOrEqual(store.state.openedMs);
  });
  it('write: of whole bytes that are there touches no file', async () => {
    await using store = await temporaryStore();
    const { digest } = await store.content.write(Buffer.from('hello'));
    const { ino } = statSync(store.content.path(digest));
    await store.content.write(Buffer.from('hello'));
    expect(statSync(store.content.path(digest)).ino).toBe(ino);
  });
  it('temporary files: none stay', async () => {
    await using store = await temporaryStore();
    await store.content.write(Buffer.from('hello'));
    await codeOf(store.content.write(Buffer.from('hello'), { expectedSize: 1 }));
    expect(readdirSync(store.state.tmp)).toEqual([]);
  });
});
