import { ftruncateSync, writeSync } from 'node:fs';
import { FormatError } from '../src/oci/format-error.ts';
import type { TarEntry } from '../src/oci/tar-header.ts';
import type { TarHandler } from '../src/oci/tar-reader.ts';
import { classifyWhiteout, WHITEOUT_PREFIX } from '../src/oci/whiteout.ts';
import { invariant } from '../src/core/error.ts';
import { baseName, fromBytes, joinPath, parentPath, toText, type ByteString } from './byte-string.ts';
import { copyUp } from './copy-up.ts';
import { isOverlayXattr } from './extended-attributes.ts';
import { deviceNumber, isWhiteout, lookupStat, typeBits } from './file-stat.ts';
import type { Metadata } from './layer-target.ts';
import type { LayerWriter, TargetDirectory } from './layer-writer.ts';
import { syscalls } from './syscalls.ts';
import { listNames } from './tree-directory.ts';

/** Where and how an archive is unpacked. */
export interface UnpackTarget {
  readonly writer: LayerWriter;
  /** The real path of the directory that entries lie in. */
  readonly at: ByteString;
  /** `apply`: a layer, whose `.wh.` names remove files; its root entry describes the root. `refuse`: any other archive. */
  readonly whiteouts: 'apply' | 'refuse';
  /** Leaves out an entry. */
  readonly excludes?: (path: ByteString) => boolean;
  /** Changes what the archive says about an entry, or about a parent directory that it does not mention. */
  readonly adjust?: (metadata: Metadata, type: TarEntry['type']) => Metadata;
}

/** A file whose content is coming. */
interface UnpackedFile {
  readonly fd: number;
  readonly parent: TargetDirectory;
  readonly metadata: Metadata;
  size: number;
  written: number;
}

/**
 * Puts the entries of an archive into a layer, for use with `TarParser`. Parents are resolved inside the tree, links included; the entry
 * itself replaces what stands at its name and is never written through. A directory merges with a directory.
 */
export class TarUnpacker implements TarHandler, Disposable {
  readonly #target: UnpackTarget;
  /** Real paths of parents seen, by path in the archive. */
  readonly #parents = new Map<ByteString, ByteString>();
  #file: UnpackedFile | undefined;
  #rootIsOpaque = false;
  #current = '' as ByteString;

  constructor(target: UnpackTarget) {
    this.#target = target;
  }

  /** The entry last begun, for messages. */
  get current(): string {
    return toText(this.#current);
  }

  entry(entry: TarEntry): void {
    const path = fromBytes(entry.path);
    this.#current = path;
    check(entry);
    if (path === '') return this.#describeRoot(entry);
    if (this.#target.excludes?.(path) === true) return undefined;
    const name = baseName(path);
    const parent = this.#parentOf(path, entry);
    if (name.startsWith(WHITEOUT_PREFIX)) return this.#whiteout(parent, name);
    return this.#create(parent, name, entry);
  }

  data(chunk: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    for (let at = 0; at < chunk.length;) at += writeSync(file.fd, chunk, at, chunk.length - at, file.size + at);
    file.size += chunk.length;
    file.written = file.size;
  }

  hole(size: number): void {
    if (this.#file !== undefined) this.#file.size += size;
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      if (file.written < file.size) ftruncateSync(file.fd, file.size);
      this.#target.writer.describeNew(file.fd, file.parent, file.metadata);
    } finally {
      syscalls().close(file.fd);
    }
  }

  /** To be called after the last entry: what depends on all of them. The writer is not finished. */
  finish(): void {
    if (this.#rootIsOpaque) this.#hideRoot();
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) syscalls().close(this.#file.fd);
    this.#file = undefined;
  }

  #create(parent: TargetDirectory, name: ByteString, entry: TarEntry): void {
    const { writer } = this.#target;
    if (entry.type === 'directory') {
      this.#clear(parent, name, 'unless-directory');
      writer.makeDirectory(parent, name, this.#metadata(entry));
      return;
    }
    if (entry.type === 'hardlink') {
      this.#hardLink(parent, name, entry);
      return;
    }
    this.#clear(parent, name, 'always');
    const metadata = this.#metadata(entry);
    if (entry.type === 'file') {
      const fd = writer.createFile(parent, name, metadata.mode);
      this.#file = { fd, parent, metadata, size: 0, written: 0 };
    } else if (entry.type === 'symlink') writer.createLink(parent, name, { target: targetOf(entry), metadata });
    // Whoever may not make device nodes gets the image without them, as with other builders without privileges.
    else writer.createNode(parent, name, { kind: typeBits(entry.type), device: deviceNumber(entry), metadata });
  }

  #hardLink(parent: TargetDirectory, name: ByteString, entry: TarEntry): void {
    const { writer } = this.#target;
    const target = targetOf(entry);
    const path = joinPath(parent.path, name);
    const from = writer.resolveParent(joinPath(this.#target.at, target));
    const fromPath = joinPath(from, baseName(target));
    if (fromPath === path) throw new FormatError('a hard link to itself');
    if (!copyUp(writer, fromPath))
      throw new FormatError(`a hard link to ${JSON.stringify(toText(target))}, which is not a file of this image`);
    const directory = writer.directory(parent.path, unexpected);
    this.#clear(directory, name, 'always');
    writer.link(fromPath, path);
  }

  #whiteout(parent: TargetDirectory, name: ByteString): void {
    const { writer, whiteouts } = this.#target;
    if (whiteouts === 'refuse')
      throw new FormatError(`no image can hold a file whose name begins with ${WHITEOUT_PREFIX}`);
    const whiteout = classifyWhiteout(Buffer.from(name, 'latin1'));
    if (whiteout.kind === 'opaque') {
      if (parent.path === '') this.#rootIsOpaque = true;
      else writer.makeOpaque(parent);
    } else if (whiteout.kind === 'whiteout') this.#hide(parent, fromBytes(whiteout.target));
  }

  /** Removes `name` of the lower layers, not what this layer itself has there. */
  #hide(parent: TargetDirectory, name: ByteString): void {
    const { writer } = this.#target;
    const stat = lookupStat(parent.upper, name);
    if (stat === undefined) writer.whiteout(parent, name);
    else if (stat.type === 'directory') writer.makeOpaque(writer.directory(joinPath(parent.path, name), unexpected));
  }

  /** Overlayfs heeds no opaque mark on a layer's root: one whiteout for each name does the same. */
  #hideRoot(): void {
    const root = this.#target.writer.directory('' as ByteString, unexpected);
    for (const name of root.lower === undefined ? [] : listNames(root.lower)) this.#hide(root, name);
  }

  #clear(parent: TargetDirectory, name: ByteString, when: 'always' | 'unless-directory'): void {
    const stat = lookupStat(parent.upper, name);
    if (stat === undefined || isWhiteout(stat)) {
      // `makeDirectory` needs to see a whiteout: the new directory must go on hiding what is below.
      if (stat !== undefined && when === 'always') this.#target.writer.remove(parent, name);
      this.#forgetParents(parent, name);
      return;
    }
    if (when === 'unless-directory' && stat.type === 'directory') return;
    this.#target.writer.remove(parent, name);
    this.#parents.clear();
  }

  /** Something new at a name may hide a directory or link of a lower layer that parents were resolved through. */
  #forgetParents(parent: TargetDirectory, name: ByteString): void {
    if (parent.lower !== undefined && this.#target.writer.standing(parent, name) !== undefined) this.#parents.clear();
  }

  #parentOf(path: ByteString, entry: TarEntry): TargetDirectory {
    const { writer, at } = this.#target;
    const parent = parentPath(path);
    let real = this.#parents.get(parent);
    if (real === undefined) {
      real = parent === '' ? at : writer.resolve(joinPath(at, parent));
      this.#parents.set(parent, real);
    }
    return writer.directory(real, () => this.#adjusted(impliedParent(entry), 'directory'));
  }

  #describeRoot(entry: TarEntry): void {
    if (this.#target.whiteouts === 'refuse' || entry.type !== 'directory') return;
    this.#target.writer.describeDirectory(
      this.#target.writer.directory('' as ByteString, unexpected),
      this.#metadata(entry),
    );
  }

  #metadata(entry: TarEntry): Metadata {
    const { mode, uid, gid, mtime, xattrs } = entry;
    return this.#adjusted({ mode, uid, gid, mtime, xattrs }, entry.type);
  }

  #adjusted(metadata: Metadata, type: TarEntry['type']): Metadata {
    return this.#target.adjust?.(metadata, type) ?? metadata;
  }
}

function check({ type, deviceMajor, deviceMinor, xattrs }: TarEntry): void {
  if (type === 'character-device' && deviceMajor === 0 && deviceMinor === 0) {
    throw new FormatError('a character device 0:0, which overlayfs takes for a removed file');
  }
  for (const name of xattrs.keys())
    if (isOverlayXattr(name)) throw new FormatError(`the extended attribute ${name}, which is overlayfs' own`);
}

function impliedParent({ mtime }: TarEntry): Metadata {
  return { mode: 0o755, uid: 0, gid: 0, mtime, xattrs: new Map() };
}

function targetOf({ linkPath }: TarEntry): ByteString {
  invariant(linkPath !== undefined, 'links have targets');
  return fromBytes(linkPath);
}

function unexpected(path: ByteString): never {
  throw new Error(`bug in tsbuild: ${JSON.stringify(path)} should be a directory of the layer`);
}
