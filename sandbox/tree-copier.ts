import { BuildError, invariant } from '../src/core/error.ts';
import { baseName, joinPath, toText, type ByteString } from './byte-string.ts';
import { contentXattrs, NO_XATTRS, type Xattrs } from './extended-attributes.ts';
import { checkUnchanged } from './file-digest.ts';
import { deviceNumber, type FileStat, identityKey, statOf, typeBits } from './file-stat.ts';
import type { LayerDirectory, LayerTarget, Metadata } from './layer-target.ts';
import { syscalls } from './syscalls.ts';
import { openFile, readLink, type TreeDirectory, type TreeEntry } from './tree-directory.ts';
import type { TreeVisitor } from './tree-walk.ts';

/** How copied files differ from their sources, and who is told of them. */
export interface CopyPolicy {
  /** The attributes of the copy. */
  readonly describe: (stat: FileStat, xattrs: Xattrs) => Metadata;
  /** Called before each file; may throw to stop. */
  readonly onFile?: (stat: FileStat, path: ByteString) => void;
  /** `error`: a file does not replace a directory, nor a directory anything else (COPY). `replace`: it does (export). */
  readonly conflicts: 'error' | 'replace';
}

/** Copies what a walk visits into a directory of a layer. Files are made anew, never written through; hard links stay linked. */
export class TreeCopier implements TreeVisitor {
  readonly #writer: LayerTarget;
  readonly #policy: CopyPolicy;
  /** The directories entered, outermost first; the first one is where the copy goes. */
  #open: LayerDirectory[] = [];
  #from = '' as ByteString;
  /** The real path in the layer of the first copy of every file that has several names. */
  readonly #linked = new Map<string, ByteString>();

  constructor(writer: LayerTarget, policy: CopyPolicy) {
    this.#writer = writer;
    this.#policy = policy;
  }

  /** Sets where the next walk goes: a directory of the layer that its caller keeps open. @param from the walk's root, for messages. */
  goTo(target: LayerDirectory, from: ByteString): void {
    this.#open = [target];
    this.#from = from;
  }

  enter(path: ByteString, entry: TreeEntry, directory: TreeDirectory): void {
    const name = baseName(path);
    this.#open.push(this.#makeDirectory(name, entry, contentXattrs(directory.top)));
  }

  leave(): void {
    const left = this.#open.pop();
    invariant(left !== undefined, 'a directory was entered');
    this.#writer.leave(left);
  }

  file(path: ByteString, entry: TreeEntry): void {
    this.copyFile(entry, baseName(path), joinPath(this.#from, path));
  }

  /** Copies one file to `name`. @param path for messages. */
  copyFile(entry: TreeEntry, name: ByteString, path: ByteString): void {
    const target = this.#target();
    const { stat } = entry;
    this.#policy.onFile?.(stat, path);
    this.#clear(target, name);
    if (stat.links > 1 && this.#link(target, name, stat)) return;
    if (stat.type === 'file') this.#regular(target, name, { entry, path });
    else if (stat.type === 'symlink')
      this.#writer.createLink(target, name, {
        target: readLink(entry),
        metadata: this.#policy.describe(stat, NO_XATTRS),
      });
    else this.#node(target, name, stat);
  }

  /** Frees what copies that failed half-way hold. */
  close(): void {
    for (const directory of this.#open.splice(1)) this.#writer.leave(directory);
  }

  #target(): LayerDirectory {
    const target = this.#open.at(-1);
    invariant(target !== undefined, 'the copy has a target');
    return target;
  }

  #makeDirectory(name: ByteString, entry: TreeEntry, xattrs: Xattrs): LayerDirectory {
    const parent = this.#target();
    const standing = this.#writer.standing(parent, name);
    if (standing !== undefined && standing.stat.type !== 'directory') {
      if (this.#policy.conflicts === 'error')
        throw conflict(parent, name, 'a directory cannot replace what is not a directory there');
      if (standing.where === 'upper') this.#writer.remove(parent, name);
    }
    return this.#writer.enterNew(parent, name, this.#policy.describe(entry.stat, xattrs));
  }

  /** Makes room for a file: an older one is unlinked, so that its other names keep their content. */
  #clear(target: LayerDirectory, name: ByteString): void {
    const standing = this.#writer.standing(target, name);
    if (standing === undefined) return this.#writer.removeWhiteout(target, name);
    if (standing.stat.type === 'directory' && this.#policy.conflicts === 'error')
      throw conflict(target, name, 'a file cannot replace the directory there');
    if (standing.where === 'upper') this.#writer.remove(target, name);
    return undefined;
  }

  #link(target: LayerDirectory, name: ByteString, stat: FileStat): boolean {
    const key = identityKey(stat);
    const path = joinPath(target.path, name);
    const first = this.#linked.get(key);
    if (first === undefined || first === path) {
      this.#linked.set(key, path);
      return false;
    }
    this.#writer.link(first, path, this.#policy.describe(stat, NO_XATTRS));
    return true;
  }

  #regular(
    target: LayerDirectory,
    name: ByteString,
    { entry, path }: { readonly entry: TreeEntry; readonly path: ByteString },
  ): void {
    const from = openFile(entry, path);
    try {
      this.#writer.addFile(target, name, {
        from,
        size: entry.stat.size,
        metadata: this.#policy.describe(entry.stat, contentXattrs(from, path)),
        verify: () => checkUnchanged(statOf(from), entry.stat, path),
      });
    } finally {
      syscalls().close(from);
    }
  }

  #node(target: LayerDirectory, name: ByteString, stat: FileStat): void {
    if (stat.type === 'socket') return;
    this.#writer.createNode(target, name, {
      kind: typeBits(stat.type),
      device: deviceNumber(stat),
      metadata: this.#policy.describe(stat, NO_XATTRS),
    });
  }
}

function conflict(target: LayerDirectory, name: ByteString, reason: string): BuildError {
  return new BuildError('COPY_INVALID', { path: `/${toText(joinPath(target.path, name))}`, reason });
}
