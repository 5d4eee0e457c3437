import {
  AT_SYMLINK_NOFOLLOW,
  check,
  cName,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  syscalls,
} from './syscalls.ts';
import { requireIds } from './id-map.ts';
import { contentXattrs, isOpaque, markOpaque, setXattrs, type OverlayXattrs } from './extended-attributes.ts';
import { type FileStat, type FileTime, isWhiteout, lookupStat, statOf } from './file-stat.ts';
import { components, joinPath, baseName, parentPath, type ByteString } from './byte-string.ts';
import { lookupEntry, openEntry, openTree, type TreeDirectory } from './tree-directory.ts';
import { DirectoryPath, openDirectory, removeTree, timesOf } from './open-directory.ts';
import { resolvePath, realPath } from './path-in-root.ts';
import { invariant } from '../src/core/error.ts';
import { copyContent } from './copy-content.ts';
import type { FileContent, LayerTarget, Metadata, Standing } from './layer-target.ts';
import { umaskOfProcess } from './umask.ts';
import { writeSync } from 'node:fs';

/** A directory of the layer being written and what lower layers have at its path. */
export interface TargetDirectory {
  readonly path: ByteString;
  /** Descriptor in the new layer. */
  readonly upper: number;
  readonly lower: TreeDirectory | undefined;
  /** Which group new files get: that of the process, or (setgid) the directory's. */
  readonly group: 'own' | 'inherited';
}

const S_IFCHR = 0o020000;

/**
 * Writes a layer's directory of changes: new things go straight into it, what is below is only looked up. Directories of lower layers that
 * something is put into appear in the layer with the attributes they have below (as overlayfs copies them up), times included.
 */
export class LayerWriter implements LayerTarget, Disposable {
  readonly #xattrs: OverlayXattrs;
  readonly #owners: 'given' | 'caller';
  readonly #self = { uid: process.geteuid?.(), gid: process.getegid?.(), umask: umaskOfProcess() };
  readonly #root: TargetDirectory;
  readonly #lowerPaths: readonly string[];
  readonly #upperPath: string;
  /** The directories last used, outermost first: callers come in tree order. */
  readonly #chain: TargetDirectory[] = [];
  /** The times directories shall have at the end, when nothing is put into them any more. */
  readonly #times = new Map<ByteString, FileTime>();

  /**
   * @param o.lower directories of the lower layers, oldest first.
   * @param o.owners `caller`: whatever is made belongs to who runs this, whoever is named.
   */
  constructor(o: {
    readonly upper: string;
    readonly lower: readonly string[];
    readonly xattrs: OverlayXattrs;
    readonly owners?: 'given' | 'caller';
  }) {
    this.#xattrs = o.xattrs;
    this.#owners = o.owners ?? 'given';
    this.#upperPath = o.upper;
    this.#lowerPaths = o.lower.toReversed();
    const upper = openTree([o.upper]).top;
    const lower = this.#lowerPaths.length === 0 ? undefined : openTree(this.#lowerPaths);
    if (lower !== undefined) this.#adopt(upper, lower.top);
    this.#root = { path: '' as ByteString, upper, lower, group: groupOf(upper) };
  }

  /** The whole tree as it is now, for looking up only. */
  openMerged(): TreeDirectory {
    return openTree([this.#upperPath, ...this.#lowerPaths]);
  }

  /** The real path of `path`: links followed, also of the last component; what is missing counts as it is spelled. */
  resolve(path: ByteString): ByteString {
    using tree = this.openMerged();
    using found = resolvePath(tree, path, 'follow');
    return realPath(found);
  }

  /** The real path of the directory that `path` lies in; the last component is not looked at. */
  resolveParent(path: ByteString): ByteString {
    const parent = parentPath(path);
    return parent === '' ? parent : this.resolve(parent);
  }

  /** What is at the real path `path`; the root is a directory. */
  typeAt(path: ByteString): FileStat['type'] | undefined {
    if (path === '') return 'directory';
    using tree = this.openMerged();
    using found = resolvePath(tree, path, 'keep');
    return found.missing.length > 0 ? undefined : found.entry?.stat.type;
  }

  /** What stands at `name` in `directory`. */
  standing(directory: TargetDirectory, name: ByteString): Standing | undefined {
    const stat = lookupStat(directory.upper, name);
    if (stat !== undefined) return isWhiteout(stat) ? undefined : { stat, where: 'upper' };
    if (directory.lower === undefined) return undefined;
    const below = lookupEntry(directory.lower, name);
    return below === undefined ? undefined : { stat: below.stat, where: 'lower' };
  }

  /**
   * The directory at `path` (a real path) in the layer, copied up or made with `made` where it is missing. It stays open until a path
   * outside of it is asked for. What lower layers have there and is no directory is hidden by the new one.
   * @throws SystemError ENOTDIR where the layer itself has something else at the path or on the way.
   */
  directory(path: ByteString, made: (path: ByteString) => Metadata): TargetDirectory {
    const names = components(path);
    let depth = 0;
    while (depth < this.#chain.length && depth < names.length && baseOf(this.#chain[depth]) === names[depth]) depth++;
    this.#closeBelow(depth);
    let current = this.#chain.at(-1) ?? this.#root;
    for (const name of names.slice(depth)) {
      current = this.enter(current, name, made);
      this.#chain.push(current);
    }
    return current;
  }

  /** Opens the directory `name` of `parent` in the layer; copied up or made where it is missing. The caller closes it. */
  enter(parent: TargetDirectory, name: ByteString, made: (path: ByteString) => Metadata): TargetDirectory {
    const path = joinPath(parent.path, name);
    const inUpper = lookupStat(parent.upper, name);
    if (inUpper !== undefined && !isWhiteout(inUpper)) {
      const upper = openDirectory(parent.upper, name);
      if (!this.#times.has(path)) this.#times.set(path, inUpper.mtime);
      const lower = parent.lower === undefined || isOpaque(upper) ? undefined : openLower(parent.lower, name);
      return { path, upper, lower, group: groupOf(upper) };
    }
    const lower = inUpper === undefined && parent.lower !== undefined ? openLower(parent.lower, name) : undefined;
    if (inUpper !== undefined) this.remove(parent, name);
    check(syscalls().mkdirat(parent.upper, cName(name), 0o700), 'mkdir', path);
    const upper = openDirectory(parent.upper, name);
    if (lower === undefined) {
      const metadata = made(path);
      if (inUpper !== undefined) markOpaque(upper, this.#xattrs);
      this.describe(upper, metadata);
      this.#times.set(path, metadata.mtime);
    } else {
      this.#times.set(path, this.#adopt(upper, lower.top).mtime);
    }
    return { path, upper, lower, group: groupOf(upper) };
  }

  /**
   * A directory with these attributes, new or the one that the layer has; its lower directory shows through unless a whiteout stood there.
   * @throws SystemError EEXIST where the layer has something else.
   */
  makeDirectory(parent: TargetDirectory, name: ByteString, metadata: Metadata): void {
    const inUpper = lookupStat(parent.upper, name);
    const removed = inUpper !== undefined && isWhiteout(inUpper);
    if (removed) this.remove(parent, name);
    if (inUpper?.type !== 'directory') check(syscalls().mkdirat(parent.upper, cName(name), 0o700), 'mkdir', name);
    const upper = openDirectory(parent.upper, name);
    try {
      if (removed) markOpaque(upper, this.#xattrs);
      this.describe(upper, metadata);
      this.#times.set(joinPath(parent.path, name), metadata.mtime);
    } finally {
      syscalls().close(upper);
    }
  }

  /** As `makeDirectory` and `enter`. */
  enterNew(parent: TargetDirectory, name: ByteString, metadata: Metadata): TargetDirectory {
    this.makeDirectory(parent, name, metadata);
    return this.enter(parent, name, () => metadata);
  }

  /** Closes what `enter` gave. */
  leave(directory: TargetDirectory): void {
    syscalls().close(directory.upper);
    directory.lower?.[Symbol.dispose]();
  }

  /** Gives an open directory of the layer its attributes; its times come at the end. */
  describeDirectory(directory: TargetDirectory, metadata: Metadata): void {
    this.describe(directory.upper, metadata);
    this.#times.set(directory.path, metadata.mtime);
  }

  /** The times that directory shall have at the end, whatever is put into it. */
  setTime(path: ByteString, mtime: FileTime): void {
    this.#times.set(path, mtime);
  }

  /** Owner, mode, attributes, times of an open file, in this order: chown clears setuid bits and capabilities. */
  describe(fd: number, { uid, gid, mode, xattrs, mtime }: Metadata): void {
    if (this.#owners === 'given') {
      requireIds({ uid, gid });
      check(syscalls().fchown(fd, uid, gid), 'fchown', fd);
    }
    check(syscalls().fchmod(fd, mode), 'fchmod', fd);
    if (xattrs.size > 0) setXattrs(fd, xattrs);
    check(syscalls().futimens(fd, timesOf(mtime)), 'futimens', fd);
  }

  /** As `describe`, for a file that `createFile` made with this mode a moment ago: without the calls that would change nothing. */
  describeNew(fd: number, directory: TargetDirectory, metadata: Metadata): void {
    const { uid, gid, mode, xattrs, mtime } = metadata;
    const isOurs = uid === this.#self.uid && gid === this.#self.gid && directory.group === 'own';
    const hasMode = (mode & (this.#self.umask | 0o7000)) === 0;
    if (!isOurs || !hasMode || xattrs.size > 0) this.describe(fd, metadata);
    else check(syscalls().futimens(fd, timesOf(mtime)), 'futimens', fd);
  }

  /** A new, empty regular file open for writing; the process' umask is taken off its mode. @throws SystemError EEXIST */
  createFile(directory: TargetDirectory, name: ByteString, mode = 0o600): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    return check(
      syscalls().openat(directory.upper, cName(name), flags, mode & 0o777),
      'open',
      joinPath(directory.path, name),
    );
  }

  /** A new regular file. @throws SystemError EEXIST */
  addFile(directory: TargetDirectory, name: ByteString, { from, size, metadata, verify }: FileContent): void {
    const to = this.createFile(directory, name, metadata.mode);
    try {
      if (from instanceof Uint8Array) for (let at = 0; at < size;) at += writeSync(to, from, at);
      else copyContent(from, to, size);
      verify();
      this.describeNew(to, directory, metadata);
    } finally {
      syscalls().close(to);
    }
  }

  /** A new symbolic link. */
  createLink(
    directory: TargetDirectory,
    name: ByteString,
    o: { readonly target: ByteString; readonly metadata: Metadata },
  ): void {
    const { uid, gid, mtime } = o.metadata;
    check(
      syscalls().symlinkat(cName(o.target, 1), directory.upper, cName(name)),
      'symlink',
      joinPath(directory.path, name),
    );
    if (this.#owners === 'given' && (uid !== 0 || gid !== 0 || directory.group === 'inherited')) {
      requireIds({ uid, gid });
      check(syscalls().fchownat(directory.upper, cName(name), uid, gid, AT_SYMLINK_NOFOLLOW), 'chown', name);
    }
    this.#touch(directory, name, mtime);
  }

  /** A new fifo or device node; false where this process may not make it. @param o.kind the file type bits of its mode. */
  createNode(
    directory: TargetDirectory,
    name: ByteString,
    o: { readonly kind: number; readonly device: number; readonly metadata: Metadata },
  ): boolean {
    const { uid, gid, mode, mtime } = o.metadata;
    const result = syscalls().mknodat(directory.upper, cName(name), o.kind | 0o600, o.device);
    if (result === -1) return false;
    check(result, 'mknod', joinPath(directory.path, name));
    if (this.#owners === 'given') {
      requireIds({ uid, gid });
      check(syscalls().fchownat(directory.upper, cName(name), uid, gid, AT_SYMLINK_NOFOLLOW), 'chown', name);
    }
    // The node was made by us in a directory that nobody else can enter, so following links is no question here.
    check(syscalls().fchmodat(directory.upper, cName(name), mode, 0), 'chmod', name);
    this.#touch(directory, name, mtime);
    return true;
  }

  /** Gives the file at the real path `from`, which is in this layer, the further name `path`; both directories are in the layer. */
  link(from: ByteString, path: ByteString): void {
    using source = new DirectoryPath(this.#root.upper);
    using target = new DirectoryPath(this.#root.upper);
    const [fromFd, toFd] = [source.open(parentPath(from)), target.open(parentPath(path))];
    invariant(fromFd !== undefined && toFd !== undefined, `the directories of ${from} and ${path} are in the layer`);
    check(syscalls().linkat(fromFd, cName(baseName(from)), toFd, cName(baseName(path), 1), 0), 'link', path);
  }

  /** Hides `name` of the lower layers. */
  whiteout(directory: TargetDirectory, name: ByteString): void {
    check(
      syscalls().mknodat(directory.upper, cName(name), S_IFCHR, 0),
      'mknod (whiteout)',
      joinPath(directory.path, name),
    );
  }

  /** Hides everything that lower layers have in a directory, which is not to be used afterwards: what is below has changed. */
  makeOpaque(directory: TargetDirectory): void {
    markOpaque(directory.upper, this.#xattrs);
    this.#closeFrom(directory.path);
  }

  /** Removes from the layer what it has at `name`, with all below. */
  remove(directory: TargetDirectory, name: ByteString): void {
    removeTree(directory.upper, name);
    this.#closeFrom(joinPath(directory.path, name));
  }

  /** Removes a whiteout that stands at `name`, if one does. */
  removeWhiteout(directory: TargetDirectory, name: ByteString): void {
    if (directory.lower === undefined) return;
    const stat = lookupStat(directory.upper, name);
    if (stat !== undefined && isWhiteout(stat)) this.remove(directory, name);
  }

  /** Sets the times of directories, innermost first; nothing can be written afterwards. */
  finish(): void {
    this.#closeBelow(0);
    using place = new DirectoryPath(this.#root.upper);
    for (const path of [...this.#times.keys()].toSorted().toReversed()) {
      // A directory that was replaced by something else meanwhile is not there any more.
      const fd = place.open(path);
      if (fd !== undefined)
        check(syscalls().futimens(fd, timesOf(this.#times.get(path) as FileTime)), 'futimens', path);
    }
  }

  [Symbol.dispose](): void {
    this.#closeBelow(0);
    this.leave(this.#root);
  }

  #touch(directory: TargetDirectory, name: ByteString, mtime: FileTime): void {
    check(syscalls().utimensat(directory.upper, cName(name), timesOf(mtime), AT_SYMLINK_NOFOLLOW), 'utimensat', name);
  }

  /** Gives a directory of the layer the attributes of the one below. */
  #adopt(upper: number, lower: number): FileStat {
    const stat = statOf(lower);
    this.describe(upper, { ...stat, xattrs: contentXattrs(lower) });
    return stat;
  }

  #closeFrom(path: ByteString): void {
    const index = this.#chain.findIndex((open) => open.path === path);
    if (index >= 0) this.#closeBelow(index);
  }

  #closeBelow(depth: number): void {
    for (const directory of this.#chain.splice(depth).toReversed()) this.leave(directory);
  }
}

function openLower(lower: TreeDirectory, name: ByteString): TreeDirectory | undefined {
  const entry = lookupEntry(lower, name);
  return entry?.stat.type === 'directory' ? openEntry(entry) : undefined;
}

function groupOf(directory: number): TargetDirectory['group'] {
  return (statOf(directory).mode & 0o2000) === 0 ? 'own' : 'inherited';
}

function baseOf(directory: TargetDirectory | undefined): ByteString {
  invariant(directory !== undefined, 'a directory of the chain');
  return directory.path.slice(directory.path.lastIndexOf('/') + 1) as ByteString;
}
