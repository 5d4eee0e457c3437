import { createHash, type Hash } from 'node:crypto';
import { join } from 'node:path';
import { digestOf, type Digest } from '../src/oci/digest.ts';
import { baseName, joinPath, type ByteString } from './byte-string.ts';
import { contentXattrs, type Xattrs } from './extended-attributes.ts';
import { fileDigest, frameXattrs } from './file-digest.ts';
import type { FileCalls, JobContext, SelectionDigest, TreePaths } from './file-jobs.ts';
import { FileStates } from './file-states.ts';
import type { FileStat } from './file-stat.ts';
import { openFoundDirectory, realPath } from './path-in-root.ts';
import { excludeMatcher, isLeftOut, openRoot, selectRoots, type SelectedRoot } from './select-files.ts';
import { saveSelectionList } from './selection-list.ts';
import { hostError, openSourceTree, type SourceTree } from './source-tree.ts';
import { StatCache } from './stat-cache.ts';
import { directoryStat, readLink, type TreeDirectory, type TreeEntry } from './tree-directory.ts';
import { type TreeVisitor, walkTree } from './tree-walk.ts';
import type { Selection } from '../src/core/tree.ts';

/** The digest of all that a copy of a selection would bring along (see `FileBackend.contentDigest`). */
export function digestSelection(args: FileCalls['contentDigest']['args'], context: JobContext): SelectionDigest {
  using tree = openSourceTree(args.tree);
  const cache = args.tree.kind === 'local' ? new StatCache(statCachePath(args.statCache, args.tree)) : undefined;
  const hash = new SelectionHash(tree, cache, context);
  const result = hash.digest(args.selection);
  cache?.save();
  if (hash.hashed !== undefined) saveSelectionList(args.lists, result.digest, hash.hashed);
  return result;
}

/** Where the digests of a host directory's files are kept. */
function statCachePath(directory: string, tree: Extract<TreePaths, { kind: 'local' }>): string {
  return join(directory, digestOf(tree.root).slice('sha256:'.length, 'sha256:'.length + 32));
}

/** A root directory of the host counts as this, whatever it is: a checkout in a private directory builds the same image. */
const HOST_ROOT_MODE = 0o755;

/** A digest made from more bytes than this is not remembered file by file: some 200,000 files. */
const MAX_KEPT = 32 * 1024 * 1024;

class SelectionHash implements TreeVisitor {
  readonly #tree: SourceTree;
  readonly #cache: StatCache | undefined;
  readonly #context: JobContext;
  readonly #fields = new FieldHash();
  readonly #states = new FileStates();
  /** The path in the tree of what is being walked, for messages. */
  #from = '' as ByteString;

  constructor(tree: SourceTree, cache: StatCache | undefined, context: JobContext) {
    this.#tree = tree;
    this.#cache = cache;
    this.#context = context;
  }

  /** What the digest was made from; absent where that is too much to keep. */
  get hashed(): string | undefined {
    return this.#fields.hashed;
  }

  digest(selection: Selection): SelectionDigest {
    try {
      return this.#digest(selection);
    } catch (error) {
      throw hostError(error, this.#tree);
    }
  }

  #digest(selection: Selection): SelectionDigest {
    const excluded = excludeMatcher(selection.exclude);
    this.#fields.add('tsbuild-selection-1', selection.parents);
    for (const root of selectRoots(this.#tree, selection)) this.#root(root, selection, excluded);
    return { digest: this.#fields.digest(), state: this.#states.digest() };
  }

  enter(path: ByteString, { stat }: TreeEntry, directory: TreeDirectory): void {
    this.#context.checkpoint();
    this.#directory(path, stat, contentXattrs(directory.top));
  }

  leave(): void {}

  file(path: ByteString, entry: TreeEntry): void {
    const { stat } = entry;
    this.#context.checkpoint();
    const owner = this.#tree.kind === 'host' ? '0 0' : `${stat.uid} ${stat.gid}`;
    if (stat.type === 'file') {
      const digest = fileDigest(entry, joinPath(this.#from, path), { cache: this.#cache, ...this.#context });
      this.#states.add(stat, path);
      this.#fields.add('file', path, `${stat.mode} ${owner} ${stat.size}`, digest.toString('latin1'));
    } else if (stat.type === 'symlink') this.#fields.add('symlink', path, owner, readLink(entry));
    else this.#fields.add(stat.type, path, `${stat.mode} ${owner} ${stat.deviceMajor} ${stat.deviceMinor}`);
  }

  #root(root: SelectedRoot, selection: Selection, excluded: ReturnType<typeof excludeMatcher>): void {
    using found = openRoot(this.#tree, root);
    this.#fields.add('root', root.layout, baseName(root.path));
    this.#from = root.path;
    using directory = openFoundDirectory(found);
    if (directory === undefined) {
      if (found.entry !== undefined && !isLeftOut(root, selection, excluded)) this.file('' as ByteString, found.entry);
      return;
    }
    if (directory.parts.length === 0) return;
    if (root.layout === 'contents') this.#rootDirectory(found.entry?.stat, directory);
    walkTree(
      { directory, path: realPath(found), filter: { hidden: this.#tree.hidden, excluded, included: root.included } },
      this,
    );
  }

  #rootDirectory(stat: FileStat | undefined, directory: TreeDirectory): void {
    const own = stat ?? directoryStat(directory);
    const isHostRoot = stat === undefined && this.#tree.kind === 'host';
    if (isHostRoot) this.#directory('' as ByteString, { ...own, mode: HOST_ROOT_MODE }, new Map());
    else this.#directory('' as ByteString, own, contentXattrs(directory.top));
  }

  #directory(path: ByteString, { mode, uid, gid }: FileStat, xattrs: Xattrs): void {
    const owner = this.#tree.kind === 'host' ? '0 0' : `${uid} ${gid}`;
    const attributes = xattrs.size === 0 ? '' : frameXattrs(xattrs).toString('latin1');
    this.#fields.add('directory', path, `${mode} ${owner}`, attributes);
  }
}

/** A sha256 over fields, each with its length before it, so that no two sequences of fields make the same bytes. */
class FieldHash {
  readonly #hash: Hash = createHash('sha256');
  #pending = '';
  readonly #kept: string[] = [];
  #keptLength = 0;

  /** Adds fields of bytes, one character each. */
  add(...fields: readonly string[]): void {
    let text = `${fields.length};`;
    for (const field of fields) text += `${field.length}:${field}`;
    this.#pending += text;
    if (this.#pending.length > 65_536) this.#flush();
  }

  digest(): Digest {
    this.#flush();
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }

  get hashed(): string | undefined {
    return this.#keptLength > MAX_KEPT ? undefined : this.#kept.join('');
  }

  #flush(): void {
    this.#hash.update(this.#pending, 'latin1');
    this.#keptLength += this.#pending.length;
    if (this.#keptLength > MAX_KEPT) this.#kept.length = 0;
    else this.#kept.push(this.#pending);
    this.#pending = '';
  }
}
