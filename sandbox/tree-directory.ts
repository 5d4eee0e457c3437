import { check, cName, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, syscalls } from './syscalls.ts';
import { fromBytes, fromText, type ByteString } from './byte-string.ts';
import { isWhiteout, lookupStat, statOf, type FileStat } from './file-stat.ts';
import { isOpaque } from './extended-attributes.ts';
import { checkKnown } from './outline-mark.ts';

/**
 * An open directory of a tree: what several layers have at one path, seen as one, by overlayfs' rules; a directory of the host is a tree
 * of one layer. Every access below is one no-follow system call on a descriptor held here, so nothing that happens to the tree meanwhile
 * can lead it elsewhere. Reading stacked layers this way needs no mount, no privilege, and knows no limit on their number.
 */
export class TreeDirectory implements Disposable {
  /** Descriptors of the layers' directories, topmost first; never empty. */
  readonly parts: readonly number[];

  constructor(parts: readonly number[]) {
    this.parts = parts;
  }

  /** The topmost part, which says owner, mode and times. */
  get top(): number {
    return this.parts[0] as number;
  }

  [Symbol.dispose](): void {
    for (const fd of this.parts) syscalls().close(fd);
  }
}

/** A name in a tree's directory. */
export interface TreeEntry {
  readonly name: ByteString;
  readonly stat: FileStat;
  /** Descriptors of the directories where `name` is found: one; for a directory all that contribute to it, topmost first. */
  readonly parts: readonly number[];
}

/** Opens the tree whose layers are the directories `paths` (trusted paths, topmost first). */
export function openTree(paths: readonly string[]): TreeDirectory {
  const parts: number[] = [];
  try {
    for (const path of paths) {
      const fd = syscalls().openat(-100, cName(fromText(path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
      parts.push(check(fd, 'open', path));
    }
  } catch (error) {
    for (const fd of parts) syscalls().close(fd);
    throw error;
  }
  return new TreeDirectory(parts);
}

/** What `name` is in `directory`, or `undefined` where it is not or is removed by a whiteout. */
export function lookupEntry(directory: TreeDirectory, name: ByteString): TreeEntry | undefined {
  const { parts } = directory;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as number;
    const stat = lookupStat(part, name);
    if (stat === undefined) continue;
    if (isWhiteout(stat)) return undefined;
    checkKnown(stat);
    const below = stat.type === 'directory' && i + 1 < parts.length ? mergedBelow(name, parts.slice(i)) : [part];
    return { name, stat, parts: below };
  }
  return undefined;
}

/** Opens the directory that `entry` is. @param path for messages. @throws SystemError (ENOENT, ENOTDIR, ELOOP) where the tree has changed meanwhile. */
export function openEntry(entry: Pick<TreeEntry, 'name' | 'parts'>, path = entry.name): TreeDirectory {
  if (entry.parts.length === 1) return new TreeDirectory([openPart(entry.parts[0] as number, entry.name, path)]);
  const opened: number[] = [];
  try {
    for (const part of entry.parts) opened.push(openPart(part, entry.name, path));
  } catch (error) {
    for (const fd of opened) syscalls().close(fd);
    throw error;
  }
  return new TreeDirectory(opened);
}

/** Opens the directory once more, with descriptors of its own. */
export function reopen(directory: TreeDirectory): TreeDirectory {
  return openEntry({ name: '.' as ByteString, parts: directory.parts });
}

/** Opens the regular file that `entry` is, for reading; `path` is for messages. A name that has become something else meanwhile fails or shows in `statOf`. */
export function openFile(entry: Pick<TreeEntry, 'name' | 'parts'>, path = entry.name): number {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  return check(syscalls().openat(entry.parts[0] as number, cName(entry.name), flags, 0), 'open', path);
}

const linkBuffer = Buffer.alloc(8192);

/** The target of the symbolic link that `entry` is. */
export function readLink(entry: TreeEntry): ByteString {
  return readLinkAt(entry.parts[0] as number, entry.name);
}

/** The target of the symbolic link `name`. */
export function readLinkAt(directory: number, name: ByteString): ByteString {
  const size = syscalls().readlinkat(directory, cName(name), linkBuffer, linkBuffer.length);
  return fromBytes(linkBuffer.subarray(0, check(size, 'readlink', name)));
}

/** The attributes of the directory itself. */
export function directoryStat(directory: TreeDirectory): FileStat {
  return statOf(directory.top);
}

/** All names in the directory, in byte order. */
export function listNames(directory: TreeDirectory): ByteString[] {
  const [only] = directory.parts;
  if (directory.parts.length === 1) {
    return namesOf(only as number)
      .filter(({ type, name }) => type !== DT_CHR || !isRemoved(only as number, name))
      .map(({ name }) => name)
      .toSorted();
  }
  const found = new Map<ByteString, boolean>();
  for (const part of directory.parts) {
    for (const { name, type } of namesOf(part)) {
      if (!found.has(name)) found.set(name, type !== DT_CHR || !isRemoved(part, name));
    }
  }
  return [...found].flatMap(([name, present]) => (present ? [name] : [])).toSorted();
}

/** A name as a directory has it on disk; `type` is of <dirent.h>, 0 where the file system does not tell. */
export interface DirectoryName {
  readonly name: ByteString;
  readonly type: number;
}

/** The `d_type` of character devices, which whiteouts are. */
export const DT_CHR = 2;
/** The `d_type` of regular files. */
export const DT_REG = 8;

const listing = Buffer.alloc(65_536);

/** All names in one directory of one layer, whiteouts included, in no order. */
export function namesOf(fd: number): DirectoryName[] {
  const names: DirectoryName[] = [];
  // A descriptor that was listed before stands at its end.
  check(syscalls().lseek(fd, 0, 0), 'lseek', fd);
  for (;;) {
    const size = check(syscalls().getdents(fd, listing, listing.length), 'getdents64', fd);
    if (size === 0) return names;
    for (let at = 0; at < size; at += listing.readUInt16LE(at + 16)) {
      const end = listing.indexOf(0, at + 19);
      const name = listing.toString('latin1', at + 19, end) as ByteString;
      if (name === '.' || name === '..') continue;
      const type = listing[at + 18] as number;
      names.push({ name, type: type === 0 ? DT_CHR : type });
    }
  }
}

/** The parts among `parts` whose directory `name` contributes; the first one is known to hold a directory. */
function mergedBelow(name: ByteString, parts: readonly number[]): readonly number[] {
  const merged: number[] = [];
  for (const part of parts) {
    const stat = merged.length === 0 ? undefined : lookupStat(part, name);
    if (merged.length > 0 && stat === undefined) continue;
    if (stat !== undefined) checkKnown(stat);
    if (stat !== undefined && stat.type !== 'directory') break;
    merged.push(part);
    if (isOpaqueAt(part, name)) break;
  }
  return merged;
}

function isOpaqueAt(part: number, name: ByteString): boolean {
  const fd = openPart(part, name);
  try {
    return isOpaque(fd);
  } finally {
    syscalls().close(fd);
  }
}

function isRemoved(part: number, name: ByteString): boolean {
  const stat = lookupStat(part, name);
  return stat === undefined || isWhiteout(stat);
}

function openPart(part: number, name: ByteString, path = name): number {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  return check(syscalls().openat(part, cName(name), flags, 0), 'open', path);
}
