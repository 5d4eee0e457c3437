import { components, joinPath, type ByteString } from './byte-string.ts';
import { stateKey } from './copy-baseline.ts';
import { contentXattrs } from './extended-attributes.ts';
import type { CopyBaseline, FileCalls, JobContext } from './file-jobs.ts';
import { typeBits } from './file-stat.ts';
import type { Metadata } from './layer-target.ts';
import { LayerWriter, type TargetDirectory } from './layer-writer.ts';
import { check, cName, syscalls } from './syscalls.ts';
import {
  directoryStat,
  listNames,
  lookupEntry,
  openEntry,
  openTree,
  type TreeDirectory,
  type TreeEntry,
} from './tree-directory.ts';

/** Moves what a step changed in its copy of the tree into a layer, as overlayfs would have written it. The copy is useless afterwards. */
export function diffCopy(
  { copy, baseline, directories, upper, xattrs }: FileCalls['diffCopy']['args'],
  context: JobContext,
): undefined {
  using tree = openTree([copy]);
  using writer = new LayerWriter({ upper, lower: directories, xattrs });
  writer.describeDirectory(writer.directory('' as ByteString, unexpected), metadataOf(tree));
  new CopyDiff({ baseline, writer, context }).directory(tree, '' as ByteString);
  writer.finish();
}

class CopyDiff {
  readonly #baseline: CopyBaseline;
  readonly #writer: LayerWriter;
  readonly #context: JobContext;

  constructor(o: { readonly baseline: CopyBaseline; readonly writer: LayerWriter; readonly context: JobContext }) {
    this.#baseline = o.baseline;
    this.#writer = o.writer;
    this.#context = o.context;
  }

  /** A directory that was there before, perhaps with other content. */
  directory(directory: TreeDirectory, path: ByteString): void {
    this.#context.checkpoint();
    const names = listNames(directory);
    const present = new Set(names);
    for (const name of names) this.#name(directory, path, name);
    for (const name of this.#namesBelow(path)) {
      if (!present.has(name)) this.#writer.whiteout(this.#target(directory, path), name);
    }
  }

  #name(directory: TreeDirectory, parent: ByteString, name: ByteString): void {
    const entry = lookupEntry(directory, name);
    if (entry === undefined || entry.stat.type === 'socket') return;
    const path = joinPath(parent, name);
    const before = this.#baseline.get(path);
    const isSame = before === stateKey(entry.stat);
    if (entry.stat.type !== 'directory' || before === undefined || !sameIdentity(before, entry)) {
      if (!isSame) this.#move(directory, parent, entry);
      return;
    }
    using child = openEntry(entry);
    if (!isSame) this.#target(child, path);
    this.directory(child, path);
  }

  /** What is new, or not the one that was there, goes into the layer as a whole. */
  #move(directory: TreeDirectory, parent: ByteString, { name, stat }: TreeEntry): void {
    const target = this.#target(directory, parent);
    const hidden = this.#writer.standing(target, name);
    check(syscalls().renameat(directory.top, cName(name), target.upper, cName(name, 1)), 'rename', name);
    if (stat.type !== 'directory' || hidden?.stat.type !== 'directory') return;
    this.#writer.makeOpaque(this.#writer.directory(joinPath(parent, name), unexpected));
  }

  /** The layer's directory at `path`, with the attributes that the copy's has. */
  #target(directory: TreeDirectory, path: ByteString): TargetDirectory {
    const target = this.#writer.directory(path, unexpected);
    this.#writer.describeDirectory(target, metadataOf(directory));
    return target;
  }

  #namesBelow(path: ByteString): ByteString[] {
    const names: ByteString[] = [];
    for (const known of this.#children.get(path) ?? []) names.push(known);
    return names;
  }

  /** Names in each directory of the tree as it was. */
  get #children(): ReadonlyMap<ByteString, readonly ByteString[]> {
    this.#childrenByPath ??= childrenOf(this.#baseline);
    return this.#childrenByPath;
  }

  #childrenByPath: ReadonlyMap<ByteString, readonly ByteString[]> | undefined;
}

function childrenOf(baseline: CopyBaseline): ReadonlyMap<ByteString, readonly ByteString[]> {
  const children = new Map<ByteString, ByteString[]>();
  for (const path of baseline.keys()) {
    const name = components(path).at(-1) as ByteString;
    const parent = path.slice(0, Math.max(0, path.length - name.length - 1)) as ByteString;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [name]);
    else siblings.push(name);
  }
  return children;
}

/** Whether a directory is the one that was there: a state begins with the file's identity and ends with its type and mode. */
function sameIdentity(before: string, { stat }: TreeEntry): boolean {
  const type = Number(before.slice(before.lastIndexOf(' ') + 1)) & ~0o7777;
  return type === typeBits('directory') && before.startsWith(`${stat.identity.join(' ')} `);
}

function metadataOf(directory: TreeDirectory): Metadata {
  const { mode, uid, gid, mtime } = directoryStat(directory);
  return { mode, uid, gid, mtime, xattrs: contentXattrs(directory.top) };
}

function unexpected(path: ByteString): never {
  throw new Error(`bug in tsbuild: directory ${JSON.stringify(path)} was there before the step`);
}
