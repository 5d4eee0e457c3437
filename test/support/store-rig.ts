import { existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContentStore } from '../../src/core/content.ts';
import type { TreeUsage } from '../../src/core/tree-usage.ts';
import { measureTree } from '../../sandbox/tree-usage.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import { type StoreCacheIndex, openCacheIndex } from '../../src/store/cache-index.ts';
import { openFetchedTrees, type StoredTrees } from '../../src/store/fetched-trees.ts';
import { type LayoutNames, openImageNames } from '../../src/store/image-names.ts';
import { openLayoutStore } from '../../src/store/layout-store.ts';
import type { StoreParts } from '../../src/store/store-survey.ts';
import { type LockWish, StoreLocks } from '../../src/store/store-locks.ts';
import { openStateDir, type StateDir } from '../../src/store/state-dir.ts';

/** The parts of one store in a directory, as one process has them open. */
export interface OpenStore extends AsyncDisposable {
  readonly state: StateDir;
  readonly content: ContentStore;
  readonly cache: StoreCacheIndex;
  readonly names: LayoutNames;
  readonly downloads: StoredTrees;
  readonly checkouts: StoredTrees;
}

/** A fresh directory that disposing removes. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
}

/** Makes a directory below the system's one for temporary files. */
export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'tsbuild-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Opens the store at `path`. */
export async function openStore(path: string): Promise<OpenStore> {
  const state = await openStateDir(path);
  const content = openLayoutStore(state);
  const cache = openCacheIndex(state);
  return {
    state,
    content,
    cache,
    names: openImageNames(state, content),
    downloads: openFetchedTrees({ state, usage }, state.http),
    checkouts: openFetchedTrees({ state, usage }, state.git),
    [Symbol.asyncDispose]: async () => {
      await cache[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
    },
  };
}

/** Fetched trees of a directory that is no store. */
export function fetchedTreesIn(directory: string, tmp: string): StoredTrees {
  const folder = join(tmp, '../locks');
  mkdirSync(folder, { recursive: true });
  const locks = new StoreLocks(folder);
  const state = { tmp, openedMs: 0, locked: <T>(lock: LockWish, work: () => Promise<T>) => locks.locked(lock, work) };
  return openFetchedTrees({ state, usage }, directory);
}

async function usage(directory: string): Promise<TreeUsage> {
  return measureTree({ directory }, { checkpoint: () => undefined });
}

/** Opens a store of its own, which disposing removes. */
export async function temporaryStore(): Promise<OpenStore> {
  const directory = await temporaryDirectory();
  const store = await openStore(join(directory.path, 'store'));
  return {
    ...store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Layers that are only directories, of 1000 bytes each. */
export function directoryLayers(directory: string): StoreParts['layers'] {
  mkdirSync(directory, { recursive: true });
  return {
    remove: (layer) => rm(join(directory, layer), { recursive: true, force: true }),
    usage: async (layer) => ({ bytes: existsSync(join(directory, layer)) ? 1000 : 0, inodes: 1 }),
    list: async function* list() {
      for (const name of await readdir(directory)) {
        yield { layer: name as LayerId, createdMs: (await stat(join(directory, name))).mtimeMs };
      }
    },
  };
}

/** Bytes as a stream of chunks of this many bytes. */
export async function* chunked(bytes: Uint8Array | string, chunkBytes = 7): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(bytes);
  for (let offset = 0; offset < all.length; offset += chunkBytes) yield all.subarray(offset, offset + chunkBytes);
}
