import { randomUUID } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { link, lstat, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BuildError, isErrno } from '../core/error.ts';
import { syncDirectory } from './durable-file.ts';
import { makeDirectory } from './make-directory.ts';
import { openOwner } from './owner.ts';
import { type LockWish, StoreLocks, type StoreWaitListener } from './store-locks.ts';
import { storeFailure } from './store-failure.ts';

/**
 * The directory that holds everything: an OCI image layout (`oci-layout`, `index.json`, `blobs/`), and beside it what is tsbuild's own.
 * Paths are absolute, without symbolic links; mode 0700, so that no setuid file of a layer can be reached by other users (CVE-2021-41091).
 * Disposing gives up what this process holds: its temporary files go, and what it used may be pruned.
 */
export interface StateDir extends AsyncDisposable {
  readonly root: string;
  /** Blobs by the hex of their digest. */
  readonly blobs: string;
  /** The image layout's list of manifests, and with it the names of images. */
  readonly layoutIndex: string;
  /** The cache index' database. */
  readonly index: string;
  /** The directory that belongs to `sandbox/`. */
  readonly sandboxDir: string;
  /** Downloads, and git repositories and checkouts. */
  readonly http: string;
  readonly git: string;
  /** For files of this process alone; whatever a dead process left in its own is swept by the next one that opens the store. */
  readonly tmp: string;
  /** When this process opened the store. What it uses is marked as used then or later. */
  readonly openedMs: number;
  /** When the oldest living process opened the store: what was used at that time or later must stay. */
  oldestOwnerMs(): Promise<number>;
  /** Does `work` while holding a lock, after waiting for it. Dying gives it back. Locks are not reentrant. */
  locked<T>(lock: LockWish, work: () => Promise<T>): Promise<T>;
}

const FORMAT = '1';
const FORMAT_FILE = 'tsbuild-format';
const LAYOUT_FILE = 'oci-layout';
const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';
const EMPTY_INDEX = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}';
const DRAFT_PREFIX = '.tsbuild-';
const DIRECTORIES = ['blobs/sha256', 'sandbox', 'http', 'git', 'tmp', 'owners', 'locks'];

/**
 * Opens the store at `path`, and makes it where there is nothing or an empty directory.
 * @throws STORE_UNUSABLE for a directory that holds something else, is another user's, cannot be written or has another format.
 */
export async function openStateDir(path: string, waiting?: StoreWaitListener): Promise<StateDir> {
  try {
    const root = await openRoot(resolve(path));
    const locks = new StoreLocks(join(root, 'locks'), waiting);
    const owner = await openOwner({ owners: join(root, 'owners'), tmp: join(root, 'tmp') });
    return {
      root,
      blobs: join(root, 'blobs/sha256'),
      layoutIndex: join(root, 'index.json'),
      index: join(root, 'cache.sqlite'),
      sandboxDir: join(root, 'sandbox'),
      http: join(root, 'http'),
      git: join(root, 'git'),
      tmp: owner.tmp,
      openedMs: owner.openedMs,
      oldestOwnerMs: () => owner.oldestMs(),
      locked: (lock, work) => locks.locked(lock, work),
      [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
    };
  } catch (error) {
    throw storeFailure(error, path);
  }
}

/** Synchronous where the store exists: every build begins here, and a handful of system calls is quicker than waiting for threads. */
async function openRoot(path: string): Promise<string> {
  makeRoot(path);
  const root = realpathSync(path);
  refuseStrangers(root);
  const format = readIfThere(join(root, FORMAT_FILE));
  if (format === undefined) await create(root);
  else if (format.trim() !== FORMAT) {
    throw unusable(
      root,
      `it has format ${JSON.stringify(format.trim().slice(0, 20))}, and this tsbuild knows ${FORMAT}`,
    );
  }
  return root;
}

function makeRoot(path: string): void {
  try {
    makeDirectory(path, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw unusable(path, 'it is no directory', error);
    if (isErrno(error, 'ENOENT')) throw unusable(path, 'no directory can be made there', error);
    throw error;
  }
}

function refuseStrangers(root: string): void {
  const info = statSync(root);
  const user = process.geteuid?.();
  if (user !== undefined && info.uid !== user) throw unusable(root, `it belongs to user ${info.uid}, not ${user}`);
  if ((info.mode & 0o077) !== 0 && isOurs(root)) chmodSync(root, 0o700);
}

/** Makes the parts in an order that a crash, or another process doing the same, cannot harm: the format file comes last. */
async function create(root: string): Promise<void> {
  if (!isOurs(root)) throw unusable(root, 'it is not empty and no store of tsbuild');
  for (const name of DIRECTORIES) makeDirectory(join(root, name), { mode: 0o700 });
  await createFile(root, 'index.json', EMPTY_INDEX);
  await createFile(root, LAYOUT_FILE, LAYOUT);
  await createFile(root, FORMAT_FILE, `${FORMAT}\n`);
  await syncDirectory(root);
}

/** Whether everything in `root` is what a store, perhaps one in the making, has. */
function isOurs(root: string): boolean {
  const known = new Set([
    FORMAT_FILE,
    LAYOUT_FILE,
    'index.json',
    ...DIRECTORIES.map((name) => name.replace(/\/.*/, '')),
  ]);
  const names = readdirSync(root);
  return names.includes(FORMAT_FILE) || names.every((name) => known.has(name) || name.startsWith(DRAFT_PREFIX));
}

/** A hard link, unlike a rename, never replaces what another process was quicker to make. */
async function createFile(root: string, name: string, text: string): Promise<void> {
  const draft = join(root, `${DRAFT_PREFIX}${randomUUID()}`);
  try {
    await writeFile(draft, text, { flag: 'wx', flush: true, mode: 0o644 });
    await link(draft, join(root, name));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!(await lstat(join(root, name))).isFile()) throw unusable(root, `${name} is no file`);
  } finally {
    await rm(draft, { force: true });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function unusable(path: string, reason: string, cause?: unknown): BuildError {
  return new BuildError('STORE_UNUSABLE', { path, reason }, { cause });
}
