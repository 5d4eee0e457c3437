import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isErrno } from '../core/error.ts';
import { together } from '../core/together.ts';
import { decodeIndex } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestHex } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import type { CacheImage } from './cache-image.ts';
import { type BlobReader, type DocumentReader, imageBlobs } from './image-blobs.ts';
import { blobPath, encodeLayoutIndex, INDEX_FILE, LAYOUT_FILE, LAYOUT_TEXT, TAG_ANNOTATION } from './layout-files.ts';
import { makeDirectory } from './make-directory.ts';
import { failed, isBesideName, outputErrors, replaceFile } from './output-file.ts';

/** Where a cache is to be written as an image layout. */
export interface CacheLayoutRequest {
  readonly dest: string;
  readonly tag: string;
  /** What becomes of blobs that no cache of the directory has any more. */
  readonly unreferenced: 'keep' | 'drop';
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
    makeDirectory(blobs);
    await using _ = await request.lock(join(dest, `${INDEX_FILE}.lock`), request.signal);
    for (const folder of [dest, blobs]) await sweep(folder);
    for (const blob of image.blobs) await addBlob(join(dest, blobPath(blob.digest)), blob, { reader, ...request });
    await replaceFile(join(dest, LAYOUT_FILE), Buffer.from(LAYOUT_TEXT));
    const others = (await entriesOf(dest)).filter(({ annotations }) => annotations?.[TAG_ANNOTATION] !== request.tag);
    const entry = { ...image.root, annotations: { [TAG_ANNOTATION]: request.tag } };
    await replaceFile(join(dest, INDEX_FILE), encodeLayoutIndex([...others, entry]));
    if (request.unreferenced === 'drop') await dropUnreferenced(dest, [...others, entry]);
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
  await replaceFile(path, reader.read(blob, { signal }));
}

/** Removes blobs that no cache of the directory has; none where one of the caches cannot be read. */
async function dropUnreferenced(dest: string, entries: readonly Descriptor[]): Promise<void> {
  const reader: DocumentReader = {
    lookup: async (digest) => {
      const size = await sizeOf(join(dest, blobPath(digest)));
      return size === undefined ? undefined : { digest, size };
    },
    readDocument: ({ digest }) => readFile(join(dest, blobPath(digest))),
  };
  const images = await together(entries, (entry) => imageBlobs(reader, entry, 'skip'));
  const referenced = new Set(images.flatMap(({ blobs }) => blobs.map(({ digest }) => digestHex(digest))));
  const folder = join(dest, 'blobs/sha256');
  const names = await readdir(folder);
  for (const name of names) if (!referenced.has(name)) await rm(join(folder, name), { force: true });
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
