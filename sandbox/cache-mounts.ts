import {
  chmodSync,
  chownSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { CacheMountLease, CacheMountRequest, CacheMounts } from '../src/core/cache-mounts.ts';
import { invariant, isErrno } from '../src/core/error.ts';
import { digestOf } from '../src/oci/digest.ts';
import { type LockOptions, LockWait, OWN_STEP, type WaitListener } from '../src/core/lock-wait.ts';
import { type FileLock, nameHolder, tryLock } from './file-lock.ts';
import type { FileWork } from './layer-codec.ts';
import { requireIds } from './id-map.ts';
import { makeDirectory } from './make-directory.ts';
import { namesIn } from './names-in.ts';
import { storeError } from './store-error.ts';

/** Between two looks at a lock that another process holds. */
const POLL_MS = 20;
/** Names of several private directories of one id. */
const MAX_PRIVATE = 1000;

/** What a directory was made for, kept beside it. */
interface CacheRecord {
  readonly id: string;
}

/**
 * Cache directories below `cache-mounts/`: `<hash>/{data,record.json,lock}`. The hash covers id, owner and mode, so that no id becomes a
 * path (CVE-2024-9675). Who uses one holds its lock: shared, or exclusive for `locked` and `private`; the kernel frees it with the process.
 */
export class LockedCacheMounts implements CacheMounts {
  readonly #work: FileWork;
  /** Ends of the queues for `locked` directories within this process, so that it is served in order and polls once. */
  readonly #queues = new Map<string, Promise<void>>();

  constructor(work: FileWork) {
    this.#work = work;
  }

  async acquire(request: CacheMountRequest, o: LockOptions = {}): Promise<CacheMountLease> {
    try {
      switch (request.sharing) {
        case 'shared':
          return await this.#take(request, { name: nameOf(request), mode: 'shared', ...o });
        case 'locked':
          return await this.#queued(request, o);
        case 'private':
          return await this.#firstFree(request, o.signal);
      }
    } catch (error) {
      throw storeError(error, this.#root);
    }
  }

  async list(): Promise<
    readonly { readonly id: string; readonly path: string; readonly bytes: number; readonly lastUsedMs: number }[]
  > {
    const found = namesIn(this.#root).map(async (name) => {
      const record = this.#readRecord(name);
      if (record === undefined) return [];
      const path = join(this.#root, name, 'data');
      const { bytes } = await this.#work.pool.call('measureTree', { directory: path });
      return [{ id: record.id, path, bytes, lastUsedMs: this.#lastUsedMs(name) }];
    });
    return (await Promise.all(found)).flat().toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  async *exportTar(id: string, o: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterable<Uint8Array> {
    const names = namesIn(this.#root).filter((name) => this.#readRecord(name)?.id === id);
    const name = names.toSorted((a, b) => this.#lastUsedMs(b) - this.#lastUsedMs(a))[0];
    if (name === undefined) return;
    using _ = await this.#wait(name, 'shared', o);
    const directories = [join(this.#root, name, 'data')];
    yield* this.#work.pool.source('exportTar', { directories, epochSeconds: undefined }, o);
  }

  async remove(id: string): Promise<number> {
    let freed = 0;
    for (const name of namesIn(this.#root))
      if (this.#readRecord(name)?.id === id) freed += await this.#removeUnused(name);
    return freed;
  }

  get #root(): string {
    return join(this.#work.store.stateDir, 'cache-mounts');
  }

  #lastUsedMs(name: string): number {
    return statSync(join(this.#root, name, 'lock'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  /** Waits its turn in this process, then for other processes. */
  async #queued(request: CacheMountRequest, o: LockOptions): Promise<CacheMountLease> {
    const name = nameOf(request);
    const turn = this.#queues.get(name) ?? Promise.resolve();
    const mine = Promise.withResolvers<void>();
    const end = turn.then(() => mine.promise);
    this.#queues.set(name, end);
    try {
      await announced(abortable(turn, o.signal), o.waiting);
      const lease = await this.#take(request, { name, mode: 'exclusive', ...o });
      return {
        path: lease.path,
        [Symbol.asyncDispose]: async () => {
          await lease[Symbol.asyncDispose]();
          mine.resolve();
        },
      };
    } catch (error) {
      mine.resolve();
      throw error;
    }
  }

  /** The first of the directories of one id that nobody uses. */
  async #firstFree(request: CacheMountRequest, signal: AbortSignal | undefined): Promise<CacheMountLease> {
    for (let i = 0; i < MAX_PRIVATE; i++) {
      const name = i === 0 ? nameOf(request) : `${nameOf(request)}-${i}`;
      const lock = this.#tryLock(name, 'exclusive');
      if (lock !== undefined) return this.#open(request, { name, lock, signal });
    }
    invariant(false, 'a private cache directory is free');
  }

  async #take(
    request: CacheMountRequest,
    o: LockOptions & { readonly name: string; readonly mode: 'shared' | 'exclusive' },
  ): Promise<CacheMountLease> {
    const lock = await this.#wait(o.name, o.mode, o);
    return this.#open(request, { name: o.name, lock, signal: o.signal });
  }

  async #wait(name: string, mode: 'shared' | 'exclusive', { signal, waiting }: LockOptions): Promise<FileLock> {
    const nameOfHolder = (): string => nameHolder(join(this.#root, name, 'lock'));
    using wait = new LockWait({ listener: waiting, nameHolder: nameOfHolder });
    for (;;) {
      signal?.throwIfAborted();
      const lock = this.#tryLock(name, mode);
      if (lock !== undefined) return lock;
      wait.stillWaiting();
      await delay(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  /** Gives the directory, made and seeded the first time. */
  async #open(
    request: CacheMountRequest,
    o: { readonly name: string; readonly lock: FileLock; readonly signal: AbortSignal | undefined },
  ): Promise<CacheMountLease> {
    try {
      const now = new Date();
      utimesSync(join(this.#root, o.name, 'lock'), now, now);
      const path = join(this.#root, o.name, 'data');
      if (this.#readRecord(o.name) === undefined) await this.#make(request, o.name, o.signal);
      return {
        path,
        [Symbol.asyncDispose]: async () => {
          o.lock[Symbol.dispose]();
        },
      };
    } catch (error) {
      o.lock[Symbol.dispose]();
      throw error;
    }
  }

  /** Built aside and renamed: several that share a new directory may make it at once, and the first one wins. */
  async #make(request: CacheMountRequest, name: string, signal: AbortSignal | undefined): Promise<void> {
    await using pending = this.#work.store.create();
    const { seed, uid, gid, mode } = request;
    requireIds({ uid, gid });
    const made = join(pending.directory, 'data');
    mkdirSync(made);
    if (seed !== undefined) {
      const { tree } = seed;
      using hold = await this.#work.store.hold(tree.kind === 'layers' ? tree.stack : []);
      const paths = tree.kind === 'layers' ? ({ kind: 'layers', directories: hold.directories } as const) : tree;
      await this.#work.pool.call('copySubtree', { tree: paths, path: seed.path, to: made }, { signal });
    }
    chownSync(made, uid, gid);
    chmodSync(made, mode & 0o7777);
    try {
      renameSync(made, join(this.#root, name, 'data'));
    } catch (error) {
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    const record = join(this.#root, name, `record-${randomUUID()}`);
    writeFileSync(record, JSON.stringify({ id: request.id } satisfies CacheRecord), { mode: 0o600 });
    renameSync(record, join(this.#root, name, 'record.json'));
  }

  #tryLock(name: string, mode: 'shared' | 'exclusive'): FileLock | undefined {
    const directory = join(this.#root, name);
    makeDirectory(directory, { mode: 0o700 });
    try {
      closeSync(openSync(join(directory, 'lock'), 'a', 0o600));
      return tryLock(join(directory, 'lock'), mode);
    } catch (error) {
      // Removed by another process between two of these calls: the next attempt makes it anew.
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async #removeUnused(name: string): Promise<number> {
    const lock = this.#tryLock(name, 'exclusive');
    if (lock === undefined) return 0;
    try {
      const directory = join(this.#root, name, 'data');
      const { bytes } = await this.#work.pool.call('measureTree', { directory });
      await using pending = this.#work.store.create();
      renameSync(join(this.#root, name), join(pending.directory, 'removed'));
      await rm(join(pending.directory, 'removed'), { recursive: true, force: true });
      return bytes;
    } finally {
      lock[Symbol.dispose]();
    }
  }

  #readRecord(name: string): CacheRecord | undefined {
    try {
      const record: unknown = JSON.parse(readFileSync(join(this.#root, name, 'record.json'), 'utf8'));
      return isRecord(record) ? record : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}

function nameOf({ id, uid, gid, mode }: CacheMountRequest): string {
  return digestOf(JSON.stringify([id, uid, gid, mode])).slice('sha256:'.length, 'sha256:'.length + 32);
}

function isRecord(value: unknown): value is CacheRecord {
  return typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string';
}

/** Tells of a wait for another step of this process. */
async function announced(turn: Promise<void>, listener: WaitListener | undefined): Promise<void> {
  using wait = new LockWait({ listener, nameHolder: () => OWN_STEP });
  const look = setInterval(() => wait.stillWaiting(), POLL_MS);
  try {
    await turn;
  } finally {
    clearInterval(look);
  }
}

async function abortable(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
