import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ContentStore } from '../core/content.ts';
import { decodeIndex } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { packTar } from '../oci/tar-writer.ts';
import { archiveEntries } from './archive-entries.ts';
import { imageBlobs } from './image-blobs.ts';
import {
  blobPath,
  encodeLayoutIndex,
  type ExportImage,
  INDEX_FILE,
  LAYOUT_FILE,
  LAYOUT_TEXT,
  layoutEntries,
  NAME_ANNOTATION,
  TAG_ANNOTATION,
} from './layout-files.ts';
import { makeDirectory } from './make-directory.ts';
import {
  besideName,
  failed,
  kindOf,
  outputErrors,
  type OutputPlace,
  replaceFile,
  writeNewFile,
  writeOutput,
} from './output-file.ts';

/** What to export as an image layout, and where to. */
export interface OciLayoutRequest extends OutputPlace {
  readonly images: readonly ExportImage[];
  readonly form: 'tar' | 'directory';
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes images as an OCI image layout (image-spec image-layout.md), indexes with those of their manifests that the store has.
 * A directory that is a layout already gets them added, those of the same name replaced.
 * @throws OUTPUT_FAILED, BLOB_NOT_FOUND, DIGEST_MISMATCH, REFERENCE_INVALID
 */
export async function exportOciLayout(content: ContentStore, request: OciLayoutRequest): Promise<void> {
  const entries = layoutEntries(request.images);
  const blobs = await allBlobs(content, request.images);
  if (request.form === 'directory') return exportDirectory(content, { ...request, entries, blobs });
  const files = [
    [LAYOUT_FILE, Buffer.from(LAYOUT_TEXT)],
    [INDEX_FILE, encodeLayoutIndex(entries)],
  ] as const;
  return writeOutput(request, packTar(archiveEntries(files, blobs, { content, signal: request.signal })));
}

/** The blobs of all images, each once. */
export async function allBlobs(content: ContentStore, images: readonly ExportImage[]): Promise<readonly Descriptor[]> {
  const found = await Promise.all(images.map(({ image }) => imageBlobs(content, image, 'skip')));
  return [...new Map(found.flatMap(({ blobs }) => blobs.map((blob) => [blob.digest, blob]))).values()];
}

interface DirectoryPlan {
  readonly dest: string;
  readonly entries: readonly Descriptor[];
  readonly blobs: readonly Descriptor[];
  readonly signal?: AbortSignal | undefined;
}

async function exportDirectory(content: ContentStore, plan: DirectoryPlan): Promise<void> {
  if (plan.dest === '-') throw failed('-', 'a directory cannot be written to standard output');
  const dest = resolve(plan.dest);
  return outputErrors(dest, async () => {
    const kind = await kindOf(dest);
    if (kind !== 'nothing' && kind !== 'directory') throw failed(dest, 'it is there and no directory');
    if (kind === 'nothing' || (await readdir(dest)).length === 0) return createLayout(content, { ...plan, dest });
    if ((await kindOf(join(dest, LAYOUT_FILE))) !== 'file') throw failed(dest, 'it is not empty and no image layout');
    return addToLayout(content, { ...plan, dest });
  });
}

async function createLayout(content: ContentStore, { dest, entries, blobs, signal }: DirectoryPlan): Promise<void> {
  makeDirectory(dirname(dest));
  const beside = besideName(dest);
  try {
    makeDirectory(join(beside, 'blobs/sha256'));
    for (const blob of blobs) await writeNewFile(join(beside, blobPath(blob.digest)), content.read(blob, { signal }));
    await writeNewFile(join(beside, INDEX_FILE), encodeLayoutIndex(entries));
    await writeNewFile(join(beside, LAYOUT_FILE), Buffer.from(LAYOUT_TEXT));
    await rename(beside, dest);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    throw error;
  }
}

async function addToLayout(content: ContentStore, { dest, entries, blobs, signal }: DirectoryPlan): Promise<void> {
  for (const part of ['blobs', 'blobs/sha256']) {
    makeDirectory(join(dest, part));
    if ((await kindOf(join(dest, part))) !== 'directory') throw failed(dest, `${part} is no directory`);
  }
  for (const blob of blobs) await replaceFile(join(dest, blobPath(blob.digest)), content.read(blob, { signal }));
  const present = await readFile(join(dest, INDEX_FILE));
  const others = decodeIndex(present).manifests.filter((old) => !entries.some((entry) => sameName(old, entry)));
  await replaceFile(join(dest, INDEX_FILE), encodeLayoutIndex([...others, ...entries]));
}

function sameName(a: Descriptor, b: Descriptor): boolean {
  return [TAG_ANNOTATION, NAME_ANNOTATION].every((key) => a.annotations?.[key] === b.annotations?.[key]);
}
