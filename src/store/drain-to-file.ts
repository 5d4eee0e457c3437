import { type FileHandle, open } from 'node:fs/promises';
import type { BlobInfo } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import { Digester } from '../oci/digest.ts';
import { onOpenFile } from './store-failure.ts';

const BATCH_BYTES = 1024 * 1024;
/** So much is written before the disk is told to begin; else it would idle until the end and then be waited for. */
const SYNC_BYTES = 64 * 1024 * 1024;

/**
 * Writes `source` into the new file `path` and gives digest and size of what was written. Most of it is on disk when this ends,
 * so that a final sync is short. Hashing goes on while the disk writes; small chunks are gathered, because each write costs a trip
 * to another thread.
 * @param o.limit bytes after which the source is refused.
 */
export async function drainToFile(
  source: AsyncIterable<Uint8Array>,
  o: { readonly path: string; readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined },
): Promise<BlobInfo> {
  await using file = await open(o.path, 'wx', 0o644);
  const digester = new Digester();
  const sink = new Sink(file, o.path);
  try {
    for await (const chunk of source) {
      o.signal?.throwIfAborted();
      digester.update(chunk);
      if (o.limit !== undefined && digester.size > o.limit) throw tooLong(o.limit, digester.size);
      await sink.add(chunk);
    }
    await sink.flush();
  } finally {
    await sink.settled();
  }
  return { digest: digester.digest(), size: digester.size };
}

/** Writes batches, one under way while the next one is gathered, and now and then syncs beside that. */
class Sink {
  readonly #file: FileHandle;
  readonly #path: string;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #unsyncedBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.#batch.push(chunk);
    this.#batchBytes += chunk.byteLength;
    if (this.#batchBytes >= BATCH_BYTES) await this.#begin();
  }

  async flush(): Promise<void> {
    await this.#begin();
    await this.#writing;
  }

  /** Waits for everything under way; failures were or will be reported by `add` and `flush`, or by the final sync. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#writing, this.#syncing]);
  }

  async #begin(): Promise<void> {
    await this.#writing;
    const batch = this.#batch;
    const bytes = this.#batchBytes;
    this.#writing = onOpenFile(this.#path, () => writeAll(this.#file, batch, bytes));
    // Reported by the next await of it; until then it must not count as unhandled.
    this.#writing.catch(() => undefined);
    this.#unsyncedBytes += this.#batchBytes;
    this.#batch = [];
    this.#batchBytes = 0;
    if (this.#unsyncedBytes >= SYNC_BYTES && this.#syncing === undefined) this.#sync();
  }

  #sync(): void {
    this.#unsyncedBytes = 0;
    this.#syncing = this.#file
      .datasync()
      .catch(() => undefined)
      .finally(() => {
        this.#syncing = undefined;
      });
  }
}

/** `writev` may write less than it was given, as a nearly full disk makes it; the rest is tried again so that ENOSPC shows. */
async function writeAll(file: FileHandle, chunks: readonly Uint8Array[], bytes: number): Promise<void> {
  if (bytes === 0) return;
  const { bytesWritten } = await file.writev([...chunks]);
  if (bytesWritten === bytes) return;
  await file.writeFile(Buffer.concat(chunks).subarray(bytesWritten));
}

function tooLong(limit: number, size: number): BuildError {
  const detail = { what: 'the blob', expected: `${limit} bytes`, actual: `at least ${size} bytes` };
  return new BuildError('DIGEST_MISMATCH', detail);
}
