import { existsSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BlobInfo, ContentStore } from '../../src/core/content.ts';
import { isBuildError } from '../../src/core/error.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { chunked } from '../support/store-rig.ts';

/** A store to be tested, and its end. */
export interface ContentStoreUnderTest extends AsyncDisposable {
  readonly content: ContentStore;
}

/** What every content store does. */
export function contentStoreContract(name: string, open: () => Promise<ContentStoreUnderTest>): void {
  describe(`content store: ${name}`, () => {
    it.each([0, 1, 65_536, 3_000_001])('write: %i bytes come back as they were', async (size) => {
      await using store = await open();
      const bytes = Buffer.alloc(size, 'abcdefg');
      const blob = await store.content.write(chunked(bytes, 100_000));
      expect(blob).toEqual({ digest: digestOf(bytes), size });
      expect(Buffer.concat(await Array.fromAsync(store.content.read(blob))).equals(bytes)).toBe(true);
      expect(await store.content.lookup(blob.digest)).toEqual(blob);
    });
    it('write: whole bytes and streams give the same blob, twice is fine', async () => {
      await using store = await open();
      const once = await store.content.write(Buffer.from('hello'));
      expect(await store.content.write(chunked('hello', 2))).toEqual(once);
      expect(await store.content.write(Buffer.from('hello'))).toEqual(once);
      expect(await Array.fromAsync(store.content.list())).toEqual([once]);
    });
    it('write: refuses what is not expected, and then nothing is there', async () => {
      await using store = await open();
      const wrong = digestOf('other');
      expect(await codeOf(store.content.write(chunked('hello'), { expected: wrong }))).toBe('DIGEST_MISMATCH');
      expect(await codeOf(store.content.write(chunked('hello'), { expectedSize: 4 }))).toBe('DIGEST_MISMATCH');
      expect(await codeOf(store.content.write(Buffer.from('hello'), { expectedSize: 6 }))).toBe('DIGEST_MISMATCH');
      expect(await Array.fromAsync(store.content.list())).toEqual([]);
    });
    it('write: a source that fails leaves nothing', async () => {
      await using store = await open();
      await expect(store.content.write(failing())).rejects.toThrow('broken source');
      expect(await Array.fromAsync(store.content.list())).toEqual([]);
    });
    it('write: stops when aborted, with the reason', async () => {
      await using store = await open();
      const abort = new AbortController();
      abort.abort(new Error('the user'));
      await expect(store.content.write(chunked('hello'), { signal: abort.signal })).rejects.toThrow('the user');
      expect(await Array.fromAsync(store.content.list())).toEqual([]);
    });
    it('draft: is a blob after commit, and nothing without', async () => {
      await using store = await open();
      const info: BlobInfo = { digest: digestOf('draft'), size: 5 };
      {
        await using dropped = await store.content.draft();
        writeFileSync(dropped.path, 'draft', { flag: 'wx' });
      }
      expect(await store.content.lookup(info.digest)).toBeUndefined();
      const draft = await store.content.draft();
      writeFileSync(draft.path, 'draft', { flag: 'wx' });
      await draft.commit(info);
      await draft[Symbol.asyncDispose]();
      expect(existsSync(draft.path)).toBe(false);
      expect(Buffer.from(await store.content.readDocument(info)).toString()).toBe('draft');
    });
    it('read: what is not there, or of another size, is an error', async () => {
      await using store = await open();
      const blob = await store.content.write(Buffer.from('hello'));
      const absent = { digest: digestOf('absent'), size: 6 };
      expect(await codeOf(Array.fromAsync(store.content.read(absent)))).toBe('BLOB_NOT_FOUND');
      expect(await codeOf(Array.fromAsync(store.content.read({ ...blob, size: 4 })))).toBe('DIGEST_MISMATCH');
      expect(await codeOf(Array.fromAsync(store.content.read({ ...blob, size: 6 })))).toBe('DIGEST_MISMATCH');
    });
    it('read: can be left early', async () => {
      await using store = await open();
      const blob = await store.content.write(Buffer.alloc(3_000_000));
      for await (const chunk of store.content.read(blob)) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
    });
    it('readDocument: refuses what is too large for a document', async () => {
      await using store = await open();
      const blob = await store.content.write(Buffer.alloc(4 * 1024 * 1024 + 1));
      expect(await codeOf(store.content.readDocument(blob))).toBe('DOCUMENT_INVALID');
    });
    it('remove: the blob is gone; absent is fine', async () => {
      await using store = await open();
      const { digest } = await store.content.write(Buffer.from('hello'));
      await store.content.remove(digest);
      await store.content.remove(digest);
      expect(await store.content.lookup(digest)).toBeUndefined();
    });
    it('list: names every blob', async () => {
      await using store = await open();
      const blobs = await Promise.all(['a', 'bb', 'ccc'].map((text) => store.content.write(Buffer.from(text))));
      const listed = await Array.fromAsync(store.content.list());
      expect(listed.toSorted(bySize)).toEqual(blobs.toSorted(bySize));
    });
    it('write: many at once, some of them the same', async () => {
      await using store = await open();
      const texts = Array.from({ length: 40 }, (_, i) => `blob ${i % 10}`);
      const blobs = await Promise.all(texts.map((text) => store.content.write(chunked(text))));
      expect(blobs.map(({ digest }) => digest)).toEqual(texts.map((text): Digest => digestOf(text)));
      expect(await Array.fromAsync(store.content.list())).toHaveLength(10);
    });
  });
}

/** The code of the BuildError that `work` fails with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return isBuildError(error) ? error.code : String(error);
  }
}

function bySize(a: BlobInfo, b: BlobInfo): number {
  return a.size - b.size;
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(2_000_000);
  throw new Error('broken source');
}
