import { randomUUID } from 'node:crypto';
import { type FileHandle, open, opendir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobDraft, BlobInfo, ContentStore } from '../core/content.ts';
import { BuildError, invariant, isErrno } from '../core/error.ts';
import { MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import { type Digest, Digester, digestHex, sizedDigestOf, parseDigest } from '../oci/digest.ts';
import { sharedDirectorySync, syncFile } from './durable-file.ts';
import { syncWhileGrowing } from './early-sync.ts';
import { failpoint } from './failpoint.ts';
import type { StateDir } from './state-dir.ts';
import { onOpenFile, storeFailure } from './store-failure.ts';
import { drainToFile } from './drain-to-file.ts';

type BlobPlaces = Pick<StateDir, 'root' | 'blobs' | 'tmp' | 'openedMs' | 'locked'>;
type WriteOptions = NonNullable<Parameters<ContentStore['write']>[1]>;
type ReadOptions = NonNullable<Parameters<ContentStore['read']>[1]>;

const GATE = { name: 'gate', mode: 'shared' } as const;
const READ_BYTES = 256 * 1024;

/** The blobs of the store's image layout (image-spec image-layout.md): a blob's file is complete, synced and immutable once it has its name. */
export function openLayoutStore(state: BlobPlaces): ContentStore {
  return new LayoutStore(state);
}

class LayoutStore implements ContentStore {
  readonly #state: BlobPlaces;
  readonly #syncBlobs: () => Promise<void>;

  constructor(state: BlobPlaces) {
    this.#state = state;
    this.#syncBlobs = sharedDirectorySync(state.blobs);
  }

  async lookup(digest: Digest): Promise<BlobInfo | undefined> {
    const file = await this.#stat(digest);
    if (file === undefined || file.usedMs >= this.#state.openedMs) return file?.info;
    // Whoever looks a blob up means to use it: from now on no prune takes it, and none is taking it at this moment.
    return this.#state.locked(GATE, () => this.#touch(digest));
  }

  async *read(blob: BlobInfo, o: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    await using file = await this.#open(blob.digest);
    const digester = new Digester();
    const read = (): Promise<Uint8Array> => onOpenFile(this.path(blob.digest), () => readChunk(file));
    let next = read();
    try {
      for (;;) {
        o.signal?.throwIfAborted();
        const chunk = await next;
        if (chunk.byteLength === 0) break;
        // The next chunk is read while this one is hashed and used.
        next = read();
        digester.update(chunk);
        if (digester.size > blob.size) throw mismatch(blob, `more than ${blob.size} bytes`);
        yield chunk;
      }
    } finally {
      await next.catch(() => undefined);
    }
    if (digester.size !== blob.size) throw mismatch(blob, `${digester.size} bytes instead of ${blob.size}`);
    const actual = digester.digest();
    if (actual !== blob.digest) throw mismatch(blob, actual);
  }

  async readDocument(blob: BlobInfo): Promise<Uint8Array> {
    if (blob.size > MAX_DOCUMENT_BYTES) {
      const reason = `${blob.size} bytes are more than the ${MAX_DOCUMENT_BYTES} that a document may have`;
      throw new BuildError('DOCUMENT_INVALID', { what: blob.digest, reason });
    }
    return Buffer.concat(await Array.fromAsync(this.read(blob)));
  }

  path(digest: Digest): string {
    return join(this.#state.blobs, digestHex(digest));
  }

  async write(bytes: AsyncIterable<Uint8Array> | Uint8Array, o: WriteOptions = {}): Promise<BlobInfo> {
    if (bytes instanceof Uint8Array) return this.#writeDocument(bytes, o);
    const path = this.#draftPath();
    try {
      const info = await drainToFile(bytes, { path, limit: o.expectedSize, signal: o.signal });
      verify(info, o);
      await this.#publish(path, info);
      return info;
    } catch (error) {
      throw storeFailure(error, this.#state.root);
    } finally {
      await rm(path, { force: true });
    }
  }

  /** What is there already costs one look: the images of a cached rebuild are not written again. */
  async #writeDocument(bytes: Uint8Array, o: WriteOptions): Promise<BlobInfo> {
    const info = sizedDigestOf(bytes);
    verify(info, o);
    if ((await this.lookup(info.digest)) !== undefined) return info;
    return this.write(
      (async function* once() {
        yield bytes;
      })(),
      o,
    );
  }

  async draft(): Promise<BlobDraft> {
    const path = this.#draftPath();
    const early = syncWhileGrowing(path);
    return {
      path,
      commit: async (info) => {
        await early[Symbol.asyncDispose]();
        await this.#publish(path, info);
      },
      [Symbol.asyncDispose]: async () => {
        await early[Symbol.asyncDispose]();
        await rm(path, { force: true });
      },
    };
  }

  #draftPath(): string {
    return join(this.#state.tmp, `blob-${randomUUID()}`);
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for await (const entry of await opendir(this.#state.blobs)) {
      const digest = parseDigest(`sha256:${entry.name}`);
      const file = digest === undefined ? undefined : await this.#stat(digest);
      if (file !== undefined) yield file.info;
    }
  }

  async #publish(path: string, info: BlobInfo): Promise<void> {
    try {
      const { size } = await stat(path);
      invariant(size === info.size, `a blob of ${info.size} bytes was written as ${size}`);
      failpoint('blob-written');
      await syncFile(path);
      failpoint('blob-synced');
      await this.#state.locked(GATE, async () => {
        // Files get the kernel's coarse clock, which may lag behind the time at which this process opened the store.
        await utimes(path, this.#now(), this.#now());
        await rename(path, this.path(info.digest));
      });
    } catch (error) {
      throw storeFailure(error, this.#state.root);
    }
    await this.#syncBlobs();
    failpoint('blob-published');
  }

  async #open(digest: Digest): Promise<FileHandle> {
    try {
      return await open(this.path(digest), 'r');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) throw new BuildError('BLOB_NOT_FOUND', { digest }, { cause: error });
      throw storeFailure(error, this.#state.root);
    }
  }

  async #touch(digest: Digest): Promise<BlobInfo | undefined> {
    try {
      await utimes(this.path(digest), this.#now(), this.#now());
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw storeFailure(error, this.#state.root);
    }
    return (await this.#stat(digest))?.info;
  }

  /** A blob's mtime says when it was used last; its content never changes. */
  async #stat(digest: Digest): Promise<{ readonly info: BlobInfo; readonly usedMs: number } | undefined> {
    try {
      const { size, mtimeMs } = await stat(this.path(digest));
      return { info: { digest, size }, usedMs: mtimeMs };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Seconds; never before this process opened the store, even where the clock was set back. */
  #now(): number {
    return Math.max(Date.now(), this.#state.openedMs + 1) / 1000;
  }
}

async function readChunk(file: FileHandle): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
  return buffer.subarray(0, bytesRead);
}

function verify(actual: BlobInfo, o: WriteOptions): void {
  const what = 'the blob';
  if (o.expectedSize !== undefined && o.expectedSize !== actual.size) {
    throw new BuildError('DIGEST_MISMATCH', {
      what,
      expected: `${o.expectedSize} bytes`,
      actual: `${actual.size} bytes`,
    });
  }
  if (o.expected !== undefined && o.expected !== actual.digest) {
    throw new BuildError('DIGEST_MISMATCH', { what, expected: o.expected, actual: actual.digest });
  }
}

function mismatch(blob: BlobInfo, actual: string): BuildError {
  return new BuildError('DIGEST_MISMATCH', { what: 'a blob of the store', expected: blob.digest, actual });
}
