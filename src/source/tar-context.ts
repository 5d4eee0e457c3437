import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { BuildError, isErrno } from '../core/error.ts';
import { FormatError } from '../oci/format-error.ts';
import type { TarEntry, TarTime } from '../oci/tar-header.ts';
import { readTar, type TarLimits } from '../oci/tar-reader.ts';

const SLASH = Buffer.from('/');
const DIRECTORY_MODE = 0o755;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Unpacks a context's archive into `root`, a fresh directory that nobody else can reach. Owners are dropped, modes and times kept.
 * Nothing is ever written through a link: no parent of an entry may be one, a file of the same name is unlinked first (CVE-2026-44517).
 * Symbolic links are kept as they stand, wherever they point, since whoever reads the tree resolves them inside it.
 * @param o.name for messages
 * @throws ARCHIVE_INVALID for an entry through a link, a hard link to what the archive does not hold, a device or a FIFO
 */
export async function unpackContext(
  bytes: AsyncIterable<Uint8Array>,
  root: string,
  o: { readonly name: string; readonly limits?: TarLimits; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const unpacker = new Unpacker(Buffer.from(root), o.name);
  try {
    for await (const { entry, body } of readTar(bytes, o.limits)) {
      o.signal?.throwIfAborted();
      if (entry.type === 'file') await unpacker.addFile(entry, body);
      else unpacker.add(entry);
    }
  } catch (error) {
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) throw new BuildError('STORE_FULL', { path: root }, { cause: error });
    if (!(error instanceof FormatError) && !isErrno(error, 'ENAMETOOLONG')) throw error;
    throw new BuildError('ARCHIVE_INVALID', { path: o.name, reason: error.message }, { cause: error });
  }
  unpacker.finish();
}

/** Removes an unpacked context, whatever modes its directories have. */
export async function removeContext(root: string): Promise<void> {
  try {
    await rm(root, { recursive: true, force: true });
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    openDirectories(Buffer.from(root));
    await rm(root, { recursive: true, force: true });
  }
}

function openDirectories(folder: Buffer): void {
  chmodSync(folder, 0o700);
  for (const name of readdirSync(folder, { encoding: 'buffer' })) {
    const path = Buffer.concat([folder, SLASH, name]);
    if (lstatSync(path).isDirectory()) openDirectories(path);
  }
}

class Unpacker {
  readonly #root: Buffer;
  readonly #name: string;
  /** Directories of the tree known to be real ones; none of them is ever replaced. */
  readonly #directories = new Set<string>();
  /** Set last: a directory may be read-only, and writing into it changes its time. */
  readonly #attributes = new Map<string, { readonly path: Buffer; readonly mode: number; readonly mtime: TarTime }>();

  constructor(root: Buffer, name: string) {
    this.#root = root;
    this.#name = name;
  }

  /** Entries without content. */
  add(entry: TarEntry): void {
    if (entry.path.byteLength === 0) return;
    switch (entry.type) {
      case 'directory':
        return this.#addDirectory(entry);
      case 'symlink':
        symlinkSync(entry.linkPath ?? Buffer.alloc(0), this.#vacate(entry.path));
        lutimesSync(this.#pathOf(entry.path), seconds(entry.mtime), seconds(entry.mtime));
        return;
      case 'hardlink':
        return this.#addHardLink(entry);
      case 'file':
      case 'fifo':
      case 'character-device':
      case 'block-device':
        throw this.#refuse(entry.path, `is a ${entry.type.replace('-', ' ')}`);
    }
  }

  async addFile(entry: TarEntry, body: AsyncIterable<Uint8Array>): Promise<void> {
    const file = openSync(this.#vacate(entry.path), NEW_FILE, 0o600);
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.byteLength;) at += writeSync(file, chunk, at);
      }
      fchmodSync(file, entry.mode);
      futimesSync(file, seconds(entry.mtime), seconds(entry.mtime));
    } finally {
      closeSync(file);
    }
  }

  finish(): void {
    for (const { path, mode, mtime } of [...this.#attributes.values()].toReversed()) {
      chmodSync(path, mode);
      lutimesSync(path, seconds(mtime), seconds(mtime));
    }
  }

  #addDirectory({ path, mode, mtime }: TarEntry): void {
    this.#enter(parentOf(path));
    const found = this.#stat(path);
    if (found?.isDirectory() !== true) mkdirSync(this.#vacate(path), 0o700);
    this.#directories.add(path.toString('latin1'));
    const key = path.toString('latin1');
    // The last entry counts; its place in the order is that of the latest, behind all its parents.
    this.#attributes.delete(key);
    this.#attributes.set(key, { path: this.#pathOf(path), mode, mtime });
  }

  #addHardLink({ path, linkPath = Buffer.alloc(0) }: TarEntry): void {
    this.#enter(parentOf(linkPath), 'existing');
    if (this.#stat(linkPath)?.isFile() !== true) {
      throw this.#refuse(path, 'is a hard link to what is no file of the archive');
    }
    if (linkPath.equals(path)) return;
    linkSync(this.#pathOf(linkPath), this.#vacate(path));
  }

  /** The path of a new entry: its parents are real directories, and nothing has its name. */
  #vacate(path: Buffer): Buffer {
    if (path.byteLength === 0) throw this.#refuse(path, 'would replace the root');
    this.#enter(parentOf(path));
    const found = this.#stat(path);
    if (found?.isDirectory() === true) throw this.#refuse(path, 'would replace a directory');
    if (found !== undefined) unlinkSync(this.#pathOf(path));
    return this.#pathOf(path);
  }

  /** Makes sure that `folder` and all its parents are real directories; creates what is missing, unless they have to be `existing`. */
  #enter(folder: Buffer, missing: 'create' | 'existing' = 'create'): void {
    const key = folder.toString('latin1');
    if (folder.byteLength === 0 || this.#directories.has(key)) return;
    this.#enter(parentOf(folder), missing);
    const found = this.#stat(folder);
    if (found === undefined && missing === 'create') mkdirSync(this.#pathOf(folder), DIRECTORY_MODE);
    else if (found?.isDirectory() !== true)
      throw this.#refuse(folder, 'is not a directory, but something lies below it');
    this.#directories.add(key);
  }

  #stat(path: Buffer): Stats | undefined {
    try {
      return lstatSync(this.#pathOf(path));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #pathOf(path: Buffer): Buffer {
    return Buffer.concat([this.#root, SLASH, path]);
  }

  #refuse(path: Buffer, what: string): BuildError {
    return new BuildError('ARCHIVE_INVALID', {
      path: this.#name,
      reason: `${JSON.stringify(path.toString())} ${what}`,
    });
  }
}

function parentOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(0, path.lastIndexOf(SLASH)));
}

function seconds(time: TarTime): number {
  return time.seconds + time.nanoseconds / 1e9;
}
