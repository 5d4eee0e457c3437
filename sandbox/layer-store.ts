import { chmodSync, existsSync, mkdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, invariant, isErrno } from '../src/core/error.ts';
import type { LayerId, LayerStack, ListedLayer } from '../src/core/snapshot.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import { tryLock, type FileLock } from './file-lock.ts';
import type { LayerForm } from './file-jobs.ts';
import { outlineDirectory } from './layer-outline.ts';
import { type MadeOn, markLone } from './lone-mark.ts';
import { makeDirectory } from './make-directory.ts';
import { isLayerPacked } from './outline-mark.ts';
import { namesIn } from './names-in.ts';
import { lockOrUndefined, OwnDirectory, randomId } from './own-directory.ts';
import { dropPackedTar, packedTarPath } from './packed-layer.ts';
import { storeError } from './store-error.ts';
import { UnsyncedLayers } from './unsynced-layers.ts';

/** A layer being made: a directory of changes that `commit` turns into a layer. Disposing it without `commit` throws it away. */
export interface PendingLayer extends AsyncDisposable {
  /** The directory of this attempt; whatever else lies in it is thrown away. */
  readonly directory: string;
  /** The directory of changes, `directory`/upper; exists, mode 0755. */
  readonly upper: string;
  /** Where the layer's packed form may be made instead, `directory`/packed; not there yet. */
  readonly packed: string;
  /** Publishes the changes, whole, by one rename; or the packed form, where that was made. */
  commit(form?: LayerForm, madeOn?: MadeOn): LayerId;
}

/** Layers that must stay while this is held. */
export interface LayerHold extends Disposable {
  /** The directories of the layers, oldest first, as the stack. */
  readonly directories: readonly string[];
}

/** When a build is under way as a rule, and has time for what is older. */
const SETTLE_LATER_MS = 100;

const SAFE_ID = /^[a-z0-9]{1,40}$/;

/** What of the work on layers takes long, and is done elsewhere. */
export interface LayerJobs {
  /** Unpacks the packed layer in one directory into an empty other one. */
  unpack(o: { readonly packed: string; readonly upper: string }, signal: AbortSignal | undefined): Promise<void>;
  measure(directory: string): Promise<TreeUsage>;
}

interface HoldOptions {
  /** `any`: only the lock matters. `outline`: looking at it may throw `LayerIsPacked`. */
  readonly form?: 'unpacked' | 'outline' | 'any';
  readonly signal?: AbortSignal | undefined;
}

/**
 * The layers on disk, as all snapshotters keep them: `layers/<id>/fs` is the directory of a layer's changes, whiteouts and opaque marks as
 * overlayfs has them. A layer that was written as its tar is `layers/<id>/packed` instead, until somebody needs its files. What is being made lies below `active/<owner>/`, locked by its process, so that a later process can sweep up after
 * one that was killed. Nothing is touched before the first use.
 */
export class LayerStore implements AsyncDisposable {
  readonly stateDir: string;
  readonly #own: OwnDirectory;
  readonly #unsynced: UnsyncedLayers;
  readonly #jobs: LayerJobs;
  readonly #unpacking = new Map<LayerId, Promise<void>>();
  readonly #held = new Map<LayerId, { readonly lock: FileLock; count: number }>();
  #settling: NodeJS.Timeout | undefined;
  #syncing: Promise<unknown> | undefined;

  constructor(stateDir: string, jobs: LayerJobs = { unpack: unexpectedly, measure: unexpectedly }) {
    this.stateDir = stateDir;
    this.#jobs = jobs;
    this.#unsynced = new UnsyncedLayers(stateDir);
    this.#own = new OwnDirectory(join(stateDir, 'active'), () => {
      makeDirectory(join(stateDir, 'layers'), { mode: 0o700 });
      // Not at once: a step waits for what is claimed here.
      this.#settling = setTimeout(() => this.#settle(), SETTLE_LATER_MS).unref();
    });
  }

  /** The directory of changes of `layer`. */
  directoryOf(layer: LayerId): string {
    invariant(SAFE_ID.test(layer), `layer id ${JSON.stringify(layer)}`);
    return join(this.stateDir, 'layers', layer, 'fs');
  }

  /** The directory of a packed layer. */
  packedDirectoryOf(layer: LayerId): string {
    return join(this.directoryOf(layer), '..', 'packed');
  }

  /** Whether the layer is there, whole. */
  async has(layer: LayerId): Promise<boolean> {
    this.#own.sweepOnce();
    await this.#unsynced.dropLost((lost) => this.#removeDirectory(lost));
    if (!SAFE_ID.test(layer)) return false;
    return (await isDirectory(this.directoryOf(layer))) || (await isDirectory(this.packedDirectoryOf(layer)));
  }

  /** Bytes and inodes on disk. A tar that the blobs have too counts there. */
  async usage(layer: LayerId): Promise<TreeUsage> {
    if (await isDirectory(this.directoryOf(layer))) return this.#jobs.measure(this.directoryOf(layer));
    const packed = this.packedDirectoryOf(layer);
    const { bytes, inodes } = await this.#jobs.measure(packed);
    const tar = statSync(packedTarPath(packed), { throwIfNoEntry: false });
    if (tar === undefined || tar.nlink === 1) return { bytes, inodes };
    return { bytes: bytes - tar.blocks * 512, inodes: inodes - 1 };
  }

  /** Every layer on disk, whoever knows of it, and when it came there. */
  async *list(): AsyncGenerator<ListedLayer> {
    for (const name of namesIn(join(this.stateDir, 'layers'))) {
      const info = statSync(join(this.stateDir, 'layers', name), { throwIfNoEntry: false });
      if (SAFE_ID.test(name) && info !== undefined) yield { layer: name as LayerId, createdMs: info.mtimeMs };
    }
  }

  /**
   * Keeps the layers of `stack` from removal by this or another process, and unpacks those that are packed.
   * @throws STORE_UNUSABLE where one is not there.
   */
  async hold(stack: LayerStack, { form = 'unpacked', signal }: HoldOptions = {}): Promise<LayerHold> {
    const layers: LayerId[] = [];
    const release = (): void => {
      for (const layer of layers.splice(0)) this.#release(layer);
    };
    try {
      for (const layer of stack) {
        this.#acquire(layer);
        layers.push(layer);
      }
      const directories: string[] = [];
      for (const layer of stack) {
        const outline = form === 'outline' ? this.#outlineOf(layer) : undefined;
        if (form !== 'any' && outline === undefined) await this.#unpacked(layer, signal);
        directories.push(outline ?? this.directoryOf(layer));
      }
      return { directories, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Does what needs only a few files of `stack`, if any: packed layers stay packed unless `use` comes upon one of their files. Then they
   * are unpacked, and `use` is called once more.
   */
  async look<T>(
    stack: LayerStack,
    use: (directories: readonly string[]) => T | Promise<T>,
    o: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    try {
      using hold = await this.hold(stack, { ...o, form: 'outline' });
      return await use(hold.directories);
    } catch (error) {
      if (!isLayerPacked(error)) throw error;
    }
    using hold = await this.hold(stack, o);
    return await use(hold.directories);
  }

  /** A directory without anything in it. */
  emptyDirectory(): string {
    return this.#own.shared('empty');
  }

  /** A directory for trials; like all that is this process' own it is swept after a crash. */
  scratchDirectory(): string {
    return this.#own.shared('scratch');
  }

  /** A new directory of changes. */
  create(): PendingLayer {
    try {
      const directory = this.#own.newPath();
      const upper = join(directory, 'upper');
      mkdirSync(directory, { mode: 0o700 });
      mkdirSync(upper);
      chmodSync(upper, 0o755);
      return this.#pending(directory, upper);
    } catch (error) {
      throw storeError(error, this.stateDir);
    }
  }

  /** Removes a layer that nothing holds; otherwise, and where it is absent, does nothing. */
  async remove(layer: LayerId): Promise<void> {
    const held = this.#held.get(layer);
    if (held !== undefined && held.count > 0) return;
    held?.lock[Symbol.dispose]();
    this.#held.delete(layer);
    try {
      using lock = tryLock(join(this.directoryOf(layer), '..'), 'exclusive');
      if (lock !== undefined) await this.#removeDirectory(layer);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw storeError(error, this.stateDir);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#settling !== undefined && this.#syncing === undefined) this.#settle();
    clearTimeout(this.#settling);
    await this.#syncing;
    for (const { lock } of this.#held.values()) lock[Symbol.dispose]();
    this.#held.clear();
    await this.#own[Symbol.asyncDispose]();
  }

  /** A failure leaves the marks: the next process tries again. */
  #settle(): void {
    this.#syncing = Promise.allSettled([this.#unsynced.syncSettled(Date.now())]);
  }

  #pending(directory: string, upper: string): PendingLayer {
    let state: 'open' | 'committed' = 'open';
    return {
      directory,
      upper,
      packed: join(directory, 'packed'),
      commit: (form = 'unpacked', madeOn = 'layers') => {
        invariant(state === 'open', 'a layer is committed once');
        state = 'committed';
        return this.#commit(form === 'packed' ? join(directory, 'packed') : upper, { form, madeOn });
      },
      [Symbol.asyncDispose]: async () => {
        // After a commit what is left is known, as a rule: a few calls instead of a walk.
        if (state === 'open' || !removeIfEmpty(directory)) await rm(directory, { recursive: true, force: true });
      },
    };
  }

  #commit(made: string, { form, madeOn }: { readonly form: LayerForm; readonly madeOn: MadeOn }): LayerId {
    const id = randomId(12) as LayerId;
    try {
      makeDirectory(join(this.stateDir, 'layers', id), { mode: 0o700 });
      if (madeOn === 'nothing') markLone(this.directoryOf(id));
      this.#unsynced.add(id);
      renameSync(made, form === 'packed' ? this.packedDirectoryOf(id) : this.directoryOf(id));
      return id;
    } catch (error) {
      throw storeError(error, this.stateDir);
    }
  }

  /** Unpacks the layer, which is held, where it is packed; once for all who wait for it. */
  #unpacked(layer: LayerId, signal: AbortSignal | undefined): Promise<void> {
    const under = this.#unpacking.get(layer);
    // Who began it may have given up; that is no reason to fail here.
    if (under !== undefined) return under.catch(() => this.#unpacked(layer, signal));
    if (existsSync(this.directoryOf(layer))) return Promise.resolve();
    const unpacking = this.#unpackLayer(layer, signal).finally(() => this.#unpacking.delete(layer));
    this.#unpacking.set(layer, unpacking);
    return unpacking;
  }

  /** What stands for the files of a packed layer. */
  #outlineOf(layer: LayerId): string | undefined {
    if (existsSync(this.directoryOf(layer))) return undefined;
    const outline = outlineDirectory(this.packedDirectoryOf(layer));
    return existsSync(outline) ? outline : undefined;
  }

  async #unpackLayer(layer: LayerId, signal: AbortSignal | undefined): Promise<void> {
    await using pending = this.create();
    const packed = this.packedDirectoryOf(layer);
    await this.#jobs.unpack({ packed, upper: pending.upper }, signal);
    this.#unsynced.add(layer);
    try {
      renameSync(pending.upper, this.directoryOf(layer));
    } catch (error) {
      // Another process was faster.
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw storeError(error, this.stateDir);
    }
    dropPackedTar(packed);
  }

  #acquire(layer: LayerId): void {
    const held = this.#held.get(layer);
    if (held !== undefined) {
      held.count++;
      return;
    }
    const path = join(this.directoryOf(layer), '..');
    const lock = lockOrUndefined(path);
    if (lock === undefined)
      throw new BuildError('STORE_UNUSABLE', { path, reason: 'the layer is gone or being removed' });
    this.#held.set(layer, { lock, count: 1 });
  }

  /** The lock itself stays until `remove` or the end: most layers are held again soon. */
  #release(layer: LayerId): void {
    const held = this.#held.get(layer);
    invariant(held !== undefined && held.count > 0, `layer ${layer} is held`);
    held.count--;
  }

  /** Moves the layer out of sight before removing it file by file, so that it is there whole or not at all. */
  async #removeDirectory(layer: LayerId): Promise<void> {
    const trash = this.#own.newPath('-removed');
    try {
      renameSync(join(this.directoryOf(layer), '..'), trash);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    this.#unsynced.forget(layer);
    await rm(trash, { recursive: true, force: true });
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function unexpectedly(): never {
  throw new Error('bug in tsbuild: a store without workers is asked for their work');
}

/** What overlayfs leaves of its own where a tree was mounted, the last names first. */
const overlayLeavings = [
  'work/work/incompat/volatile',
  'work/work/incompat',
  'work/work',
  'work/index',
  'work',
  '',
] as const;

/** Removes a directory that holds at most what is overlayfs' own. */
function removeIfEmpty(directory: string): boolean {
  try {
    rmSync(join(directory, 'work/work/incompat/volatile/dirty'), { force: true });
    for (const name of overlayLeavings) rmdirIfThere(join(directory, name));
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY')) return false;
    throw error;
  }
}

function rmdirIfThere(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
