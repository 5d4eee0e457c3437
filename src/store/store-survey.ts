import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobInfo, ContentStore } from '../core/content.ts';
import { isErrno } from '../core/error.ts';
import type { LayerId, ListedLayer, Snapshotter } from '../core/snapshot.ts';
import type { Digest } from '../oci/digest.ts';
import { parseDigest } from '../oci/digest.ts';
import type { CacheSurvey, StoreCacheIndex } from './cache-index.ts';
import type { LayoutNames } from './image-names.ts';
import type { StoredTrees } from './fetched-trees.ts';
import { guessDescriptor, type Marked, markImages } from './mark.ts';
import type { StateDir } from './state-dir.ts';

/** The store's parts as pruning sees them. */
export interface StoreParts {
  readonly state: Pick<StateDir, 'blobs' | 'locked' | 'oldestOwnerMs'>;
  readonly content: Pick<ContentStore, 'readDocument' | 'remove'>;
  readonly cache: StoreCacheIndex;
  readonly names: LayoutNames;
  readonly layers: Pick<Snapshotter, 'remove' | 'usage' | 'list'>;
  readonly downloads: StoredTrees;
  readonly checkouts: StoredTrees;
}

/** A blob's file, with the time of its last use. */
export interface StoredBlob extends BlobInfo {
  readonly usedMs: number;
}

/** What is in the store, and what of it must stay whatever the wish. */
export interface StoreSurvey extends CacheSurvey {
  readonly stored: readonly StoredBlob[];
  /** What names, and documents in use, reach. */
  readonly marked: Marked;
  /** The unpacked layers of marked images. */
  readonly imageLayers: ReadonlySet<LayerId>;
  /** Every layer that is recorded, part of a result, or on disk since a time before any living process. */
  readonly allLayers: ReadonlySet<LayerId>;
  /** Those of them that nothing refers to: a crash, or a lost index, left them. */
  readonly strayLayers: readonly ListedLayer[];
}

/** Looks at everything, and changes nothing, not even times of use. Documents used since `inUseSinceMs` count as named. */
export async function surveyStore(parts: StoreParts, inUseSinceMs: number): Promise<StoreSurvey> {
  const stored = await Array.fromAsync(storedBlobs(parts.state.blobs));
  const entries = await parts.names.entries();
  const fresh = stored.filter(({ usedMs }) => usedMs >= inUseSinceMs);
  const guessed = await Promise.all(fresh.map((blob) => guessDescriptor(parts.content, blob)));
  const marked = await markImages(parts.content, [...entries, ...guessed.filter((found) => found !== undefined)]);
  const cache = await parts.cache.survey();
  const imageLayers = cache.layers.filter(({ diffId }) => marked.diffIds.has(diffId)).map(({ layer }) => layer);
  const recorded = new Set([...cache.layers.map(({ layer }) => layer), ...cache.results.flatMap(({ stack }) => stack)]);
  const onDisk = await Array.fromAsync(parts.layers.list());
  const strayLayers = onDisk.filter(({ layer, createdMs }) => createdMs < inUseSinceMs && !recorded.has(layer));
  const allLayers = new Set([...recorded, ...strayLayers.map(({ layer }) => layer)]);
  return { ...cache, stored, marked, imageLayers: new Set(imageLayers), allLayers, strayLayers };
}

/** Every blob in the directory. */
async function* storedBlobs(directory: string): AsyncGenerator<StoredBlob> {
  for await (const { name } of await opendir(directory)) {
    const digest = parseDigest(`sha256:${name}`);
    const blob = digest === undefined ? undefined : await statBlob(join(directory, name), digest);
    if (blob !== undefined) yield blob;
  }
}

/** The blob in the file `path`, `undefined` where it is gone. */
export async function statBlob(path: string, digest: Digest): Promise<StoredBlob | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { digest, size, usedMs: mtimeMs };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
