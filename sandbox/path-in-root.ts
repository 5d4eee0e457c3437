import { BuildError } from '../src/core/error.ts';
import { components, joinPath, toText, type ByteString } from './byte-string.ts';
import { lookupEntry, openEntry, readLink, reopen, type TreeDirectory, type TreeEntry } from './tree-directory.ts';

/** Where a path leads inside a tree. Holds the directories on the way open until disposed. */
export interface PathInRoot extends Disposable {
  /** The last directory reached: the root, or the parent of what was looked for. */
  readonly directory: TreeDirectory;
  /** The real path (no links in it) of `directory`. */
  readonly directoryPath: ByteString;
  /** What the path names; absent for the root itself and for what is missing. */
  readonly entry: TreeEntry | undefined;
  /** The components that are not there, the first one missing in `directory`; empty where the path exists. */
  readonly missing: readonly ByteString[];
}

/** Links that one path may lead through, as in Linux. */
const MAX_LINKS = 40;

/**
 * Follows `path` inside `root`, symbolic links included, as if `root` were the root directory: `..` and absolute links end there.
 * The walk holds a descriptor of every directory it has passed and takes one no-follow step at a time, so a link or a rename made
 * meanwhile cannot lead it out (the guarantee of openat2's RESOLVE_IN_ROOT, also across stacked layers and where seccomp blocks openat2).
 * @param last whether a link as the last component is followed or is itself the answer.
 * @throws PATH_INVALID for a cycle of links.
 */
export function resolvePath(root: TreeDirectory, path: ByteString, last: 'follow' | 'keep'): PathInRoot {
  const walk = new Walk(root, path, last);
  try {
    walk.run();
    return walk;
  } catch (error) {
    walk[Symbol.dispose]();
    throw error;
  }
}

class Walk implements PathInRoot {
  readonly #path: ByteString;
  readonly #last: 'follow' | 'keep';
  /** Directories entered below the root, outermost first. */
  readonly #entered: { readonly name: ByteString; readonly directory: TreeDirectory }[] = [];
  readonly #root: TreeDirectory;
  /** Components still to go, the next one last. */
  readonly #pending: ByteString[];
  #links = 0;
  entry: TreeEntry | undefined;
  missing: readonly ByteString[] = [];

  constructor(root: TreeDirectory, path: ByteString, last: 'follow' | 'keep') {
    this.#root = root;
    this.#path = path;
    this.#last = last;
    this.#pending = components(path).toReversed();
  }

  get directory(): TreeDirectory {
    return this.#entered.at(-1)?.directory ?? this.#root;
  }

  get directoryPath(): ByteString {
    return this.#entered.map(({ name }) => name).join('/') as ByteString;
  }

  run(): void {
    for (let name = this.#pending.pop(); name !== undefined; name = this.#pending.pop()) {
      if (name === '..') this.#leave();
      else if (!this.#step(name)) return;
    }
    this.#settle();
  }

  /** Goes on to `name`; false ends the walk. */
  #step(name: ByteString): boolean {
    const entry = lookupEntry(this.directory, name);
    const isLast = this.#pending.length === 0;
    if (entry === undefined) return this.#miss(name);
    if (entry.stat.type === 'symlink' && (!isLast || this.#last === 'follow')) {
      this.#follow(readLink(entry));
      return true;
    }
    if (entry.stat.type === 'directory') {
      this.#entered.push({ name, directory: openEntry(entry) });
      return true;
    }
    if (!isLast) return this.#miss(name);
    this.entry = entry;
    return false;
  }

  #follow(target: ByteString): void {
    this.#links++;
    if (this.#links > MAX_LINKS) {
      throw new BuildError('PATH_INVALID', {
        path: toText(this.#path),
        reason: 'leads through too many symbolic links',
      });
    }
    if (target.startsWith('/')) while (this.#entered.length > 0) this.#leave();
    this.#pending.push(...components(target).toReversed());
  }

  #miss(name: ByteString): false {
    // `missing/..` names nothing either; what is left is kept in the order it was written.
    this.missing = [name, ...this.#pending.toReversed()];
    return false;
  }

  #leave(): void {
    this.#entered.pop()?.directory[Symbol.dispose]();
  }

  /** The path ended at a directory: it becomes the entry of its parent. */
  #settle(): void {
    const reached = this.#entered.pop();
    if (reached === undefined) return;
    reached.directory[Symbol.dispose]();
    this.entry = lookupEntry(this.directory, reached.name);
    if (this.entry === undefined) this.missing = [reached.name];
  }

  [Symbol.dispose](): void {
    while (this.#entered.length > 0) this.#leave();
  }
}

/** The real path of what was found, or would stand there if it were made. */
export function realPath(found: PathInRoot): ByteString {
  if (found.entry !== undefined) return joinPath(found.directoryPath, found.entry.name);
  return found.missing.reduce<ByteString>(joinPath, found.directoryPath);
}

/** Opens what was found, if it is a directory. */
export function openFoundDirectory(found: PathInRoot): TreeDirectory | undefined {
  if (found.missing.length > 0) return undefined;
  if (found.entry === undefined) return reopen(found.directory);
  return found.entry.stat.type === 'directory' ? openEntry(found.entry) : undefined;
}
