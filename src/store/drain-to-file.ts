import { type FileHandle, open } from 'node:fs/promises';
import type { BlobInfo } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import { Digester } from '../oci/digest.ts';

const BATCH_BYTES = 1024 * 1024;

/**
 * Writes `source` into the new file `path` (not synced) and gives digest and size of what was written.
 * Hashing goes on while the disk writes; small chunks are gathered, because each write costs a trip to another thread.
 * @param o.limit bytes after which the source is refused.
 */
export async function drainToFile(
  source: AsyncIterable<Uint8Array>,
  o: { readonly path: string; readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined },
): Promise<BlobInfo> {
  await using file = await open(o.path, 'wx', 0o644);
  const digester = new Digester();
  let batch: Uint8Array[] = [];
  let batchBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of source) {
      o.signal?.throwIfAborted();
      digester.update(chunk);
      if (o.limit !== undefined && digester.size > o.limit) throw tooLong(o.limit, digester.size);
      batch.push(chunk);
      batchBytes += chunk.byteLength;
      if (batchBytes < BATCH_BYTES) continue;
      await writing;
      writing = writeAll(file, batch, batchBytes);
      // Reported by the next await of it; until then it must not count as unhandled.
      writing.catch(() => undefined);
      batch = [];
      batchBytes = 0;
    }
    await writing;
    await writeAll(file, batch, batchBytes);
  } finally {
    await writing.catch(() => undefined);
  }
  return { digest: digester.digest(), size: digester.size };
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
