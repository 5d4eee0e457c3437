import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isErrno } from '../core/error.ts';
import { decodeIndex } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { Digester } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import type { CacheImage } from './cache-image.ts';
import type { BlobReader } from './image-blobs.ts';
import { blobPath, encodeLayoutIndex, INDEX_FILE, LAYOUT_FILE, LAYOUT_TEXT, TAG_ANNOTATION } from './layout-files.ts';
import { besideName, failed, isBesideName, outputErrors, writeNewFile } from './output-file.ts';

/** Where a cache is to be written as an image layout. */
export interface CacheLayoutRequest {
  readonly dest: string;
  readonly tag: string;
  /** Takes a lock, by the path of its file, that dies with this process. */
  readonly lock: (path: string, signal?: AbortSignal) => Promise<AsyncDisposable>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Adds a cache to the image layout `dest`, in place of the one with the same tag. Blobs that are there stay as they are; the list of caches
 * changes at once, when all blobs are there: whatever happens on the way, the earlier cache is whole. Exports to one directory take turns.
 * @throws OUTPUT_FAILED, BLOB_NOT_FOUND, DIGEST_MISMATCH
 */
export async function exportCacheLayout(
  reader: BlobReader,
  image: CacheImage,
  request: CacheLayoutRequest,
): Promise<void> {
  const dest = resolve(request.dest);
  const blobs = join(dest, 'blobs/sha256');
  await outputErrors(dest, async () => {
    await mkdir(blobs, { recursive: true });
    await using _ = await request.lock(join(dest, `${INDEX_FILE}.lock`), request.signal);
    for (const folder of [dest, blobs]) await sweep(folder);
    for (const blob of image.blobs) await addBlob(join(dest, blobPath(blob.digest)), blob, { reader, ...request });
    await replace(join(dest, LAYOUT_FILE), Buffer.from(LAYOUT_TEXT));
    const others = (await entriesOf(dest)).filter(({ annotations }) => annotations?.[TAG_ANNOTATION] !== request.tag);
    const entry = { ...image.root, annotations: { [TAG_ANNOTATION]: request.tag } };
    await replace(join(dest, INDEX_FILE), encodeLayoutIndex([...others, entry]));
  });
}

/** Removes what an export wrote that was killed. */
async function sweep(folder: string): Promise<void> {
  const names = await readdir(folder);
  for (const name of names.filter(isBesideName)) await rm(join(folder, name), { force: true });
}

interface Adding extends CacheLayoutRequest {
  readonly reader: BlobReader;
}

/** A file of another size was cut off when a machine went down. */
async function addBlob(path: string, blob: Descriptor, { reader, signal }: Adding): Promise<void> {
  if ((await sizeOf(path)) === blob.size) return;
  await replace(path, verified(reader.read(blob, { signal }), blob, path));
}

/** What comes from where it was imported has not been looked at yet. */
async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  { digest }: Descriptor,
  path: string,
): AsyncGenerator<Uint8Array> {
  const digester = new Digester();
  for await (const chunk of bytes) {
    digester.update(chunk);
    yield chunk;
  }
  const actual = digester.digest();
  if (actual !== digest) throw failed(path, `what should become it has digest ${actual}`);
}

async function entriesOf(dest: string): Promise<readonly Descriptor[]> {
  const path = join(dest, INDEX_FILE);
  try {
    return decodeIndex(await readFile(path)).manifests;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    if (error instanceof FormatError) throw failed(path, error.message, error);
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function replace(path: string, bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  const beside = besideName(path);
  try {
    await writeNewFile(beside, bytes);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
