import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobDraft, BlobInfo, ContentStore } from '../../src/core/content.ts';
import { BuildError } from '../../src/core/error.ts';
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts';
import { MAX_DOCUMENT_BYTES } from '../../src/oci/decode.ts';

/** A content store that keeps blobs in memory; drafts are files, as the port wants it. Disposing removes those. */
export function memoryContentStore(): ContentStore & Disposable {
  return new MemoryContentStore();
}

class MemoryContentStore implements ContentStore, Disposable {
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #drafts = mkdtempSync(join(tmpdir(), 'tsbuild-memory-store-'));
  #draftCount = 0;

  async lookup(digest: Digest): Promise<BlobInfo | undefined> {
    const bytes = this.#blobs.get(digest);
    return bytes && { digest, size: bytes.byteLength };
  }

  async *read(blob: BlobInfo, o: { readonly signal?: AbortSignal | undefined } = {}): AsyncGenerator<Uint8Array> {
    const bytes = this.#blobs.get(blob.digest);
    if (bytes === undefined) throw new BuildError('BLOB_NOT_FOUND', { digest: blob.digest });
    for (let offset = 0; offset < bytes.byteLength; offset += 65_536) {
      o.signal?.throwIfAborted();
      yield bytes.subarray(offset, offset + 65_536);
    }
    if (bytes.byteLength !== blob.size) throw mismatch(blob.size, bytes.byteLength);
  }

  async readDocument(blob: BlobInfo): Promise<Uint8Array> {
    if (blob.size > MAX_DOCUMENT_BYTES)
      throw new BuildError('DOCUMENT_INVALID', { what: blob.digest, reason: 'too large' });
    return Buffer.concat(await Array.fromAsync(this.read(blob)));
  }

  path(digest: Digest): string {
    return join(this.#drafts, digestHex(digest));
  }

  async write(
    bytes: AsyncIterable<Uint8Array> | Uint8Array,
    o: {
      readonly expected?: Digest | undefined;
      readonly expectedSize?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<BlobInfo> {
    const chunks: Uint8Array[] = [];
    if (bytes instanceof Uint8Array) chunks.push(bytes);
    else {
      for await (const chunk of bytes) {
        o.signal?.throwIfAborted();
        chunks.push(chunk);
      }
    }
    const whole = Buffer.concat(chunks);
    const digest = digestOf(whole);
    if (o.expectedSize !== undefined && o.expectedSize !== whole.byteLength)
      throw mismatch(o.expectedSize, whole.byteLength);
    if (o.expected !== undefined && o.expected !== digest) throw mismatch(o.expected, digest);
    this.#blobs.set(digest, whole);
    return { digest, size: whole.byteLength };
  }

  async draft(): Promise<BlobDraft> {
    const path = join(this.#drafts, `draft-${this.#draftCount++}`);
    const remove = (): void => rmSync(path, { force: true });
    return {
      path,
      commit: async (info) => {
        this.#blobs.set(info.digest, readFileSync(path));
        remove();
      },
      [Symbol.asyncDispose]: async () => remove(),
    };
  }

  async remove(digest: Digest): Promise<void> {
    this.#blobs.delete(digest);
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for (const [digest, bytes] of this.#blobs) yield { digest, size: bytes.byteLength };
  }

  [Symbol.dispose](): void {
    rmSync(this.#drafts, { recursive: true, force: true });
  }
}

function mismatch(expected: string | number, actual: string | number): BuildError {
  return new BuildError('DIGEST_MISMATCH', { what: 'the blob', expected: String(expected), actual: String(actual) });
}
