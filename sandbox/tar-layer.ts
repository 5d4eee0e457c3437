import type { LayerTar } from '../src/core/layer-codec.ts';
import type { TarEntry } from '../src/oci/tar-header.ts';
import { WHITEOUT_PREFIX } from '../src/oci/whiteout.ts';
import { invariant } from '../src/core/error.ts';
import { components, joinPath, parentPath, toBytes, type ByteString } from './byte-string.ts';
import { contentXattrs, fileCapability, isLayerXattr, NO_XATTRS, type OverlayXattrs } from './extended-attributes.ts';
import { type FileStat, sameOwnerAndMode, typeBits } from './file-stat.ts';
import type { FileContent, LayerDirectory, LayerTarget, Metadata, Standing } from './layer-target.ts';
import { realPath, resolvePath } from './path-in-root.ts';
import type { TarFile } from './tar-file.ts';
import { TarOutput } from './tar-output.ts';
import { directoryStat, lookupEntry, openEntry, openTree, type TreeDirectory } from './tree-directory.ts';
import { mayBeUnchanged } from './unchanged-file.ts';

/** Thrown for what cannot be put into a tar in one pass, or would come back from it as something else: it is to be done unpacked. */
export class NotInOnePass extends Error {
  override readonly name = 'NotInOnePass';
}

/** A directory of the layer that is open: this one, or one below it, gets the next entry. */
interface Level extends LayerDirectory {
  readonly lower: TreeDirectory | undefined;
  /** Set while the directory is as it is below: it is written only where something in it is. */
  unwritten: TarEntry | undefined;
  /** The name last begun in it: in byte order, only later ones can follow. */
  last: ByteString;
  /** Whether it is on the way to what is written, not part of it: what is put into it is named in the outline. */
  readonly outlined: boolean;
}

/** What a layer has on the way to what was put into it: directories, with attributes, and names that stand for all that is there and below. */
export type LayerOutline = readonly { readonly path: ByteString; readonly directory: Metadata | undefined }[];

/** A layer's tar, and what a tar does not tell of the layer. */
export interface PackedTar extends LayerTar {
  /** The root directory's attributes; an archive of changes has no entry for it. */
  readonly root: Metadata;
  /** Of the entries' times, which are whole seconds in a layer tar, in the order of the entries. */
  readonly nanoseconds: Uint32Array;
  /** Parents come first. */
  readonly outline: LayerOutline;
}

const FIFO = typeBits('fifo');
/** Times that every file system keeps. */
const MAX_SECONDS = 2 ** 33;

/**
 * Writes a layer straight as the tar that its directory of changes would give (see `LayerCodec.writeTar`), byte for byte. Files must come
 * in the order of the tar, as a walk gives them; what does not is refused before anything wrong is written.
 * @throws NotInOnePass
 */
export class TarLayer implements LayerTarget, Disposable {
  readonly #file: TarFile;
  readonly #xattrs: OverlayXattrs;
  readonly #out = new TarOutput(undefined);
  readonly #tree: TreeDirectory | undefined;
  readonly #rootMetadata: Metadata;
  /** The open directories, the root first. */
  readonly #levels: Level[];
  #resolved: { readonly path: ByteString; readonly real: ByteString } | undefined;
  #nanoseconds = new Uint32Array(1024);
  #entries = 0;
  readonly #outline: LayerOutline[number][] = [];

  /** @param o.lower directories of the lower layers, oldest first. */
  constructor(o: { readonly file: TarFile; readonly lower: readonly string[]; readonly xattrs: OverlayXattrs }) {
    this.#file = o.file;
    this.#xattrs = o.xattrs;
    this.#tree = o.lower.length === 0 ? undefined : openTree(o.lower.toReversed());
    this.#rootMetadata =
      this.#tree === undefined ? NEW_ROOT : { ...directoryStat(this.#tree), xattrs: contentXattrs(this.#tree.top) };
    this.#levels = [
      { path: '' as ByteString, lower: this.#tree, unwritten: undefined, last: '' as ByteString, outlined: true },
    ];
  }

  resolve(path: ByteString): ByteString {
    const [root] = this.#levels;
    if (this.#resolved === undefined || (this.#levels.length === 1 && root?.last === '')) {
      this.#resolved = { path, real: this.#realPath(path) };
      return this.#resolved.real;
    }
    // What was written since may have put a link in the way, unless it all went below this very path.
    if (this.#resolved.path !== path || this.#resolved.real !== components(path).join('/')) throw new NotInOnePass();
    return this.#resolved.real;
  }

  typeAt(path: ByteString): FileStat['type'] | undefined {
    const names = components(path);
    const depth = this.#commonDepth(names);
    const next = names[depth];
    if (next === undefined) return 'directory';
    this.#checkNew(this.#levels[depth], next);
    if (this.#tree === undefined) return undefined;
    using found = resolvePath(this.#tree, path, 'keep');
    return found.missing.length > 0 ? undefined : found.entry?.stat.type;
  }

  standing(directory: LayerDirectory, name: ByteString): Standing | undefined {
    const level = this.#goTo(directory);
    this.#checkNew(level, name);
    const below = level.lower === undefined ? undefined : lookupEntry(level.lower, name);
    return below === undefined ? undefined : { stat: below.stat, where: 'lower' };
  }

  directory(path: ByteString, made: (path: ByteString) => Metadata): LayerDirectory {
    const names = components(path);
    const depth = this.#commonDepth(names);
    this.#closeBelow(depth + 1);
    for (const name of names.slice(depth)) {
      const parent = this.#top();
      const { path: childPath, lower } = this.#begin(parent, name);
      const metadata =
        lower === undefined ? made(childPath) : { ...directoryStat(lower), xattrs: contentXattrs(lower.top) };
      this.#outline.push({ path: childPath, directory: metadata });
      this.#push(childPath, { lower, metadata, as: lower === undefined ? 'written' : 'unwritten', outlined: true });
    }
    return this.#top();
  }

  enterNew(parent: LayerDirectory, name: ByteString, metadata: Metadata): LayerDirectory {
    const level = this.#goTo(parent);
    const { path, lower } = this.#begin(level, name);
    if (level.outlined) this.#outline.push({ path, directory: undefined });
    const isSame =
      lower !== undefined &&
      sameOwnerAndMode(directoryStat(lower), metadata) &&
      fileCapability(lower.top) === undefined;
    this.#push(path, { lower, metadata, as: isSame ? 'unwritten' : 'written', outlined: false });
    return this.#top();
  }

  leave(directory: LayerDirectory): void {
    const index = this.#levels.indexOf(directory as Level);
    if (index > 0) this.#closeBelow(index);
  }

  remove(): never {
    throw new NotInOnePass();
  }

  /** There are none in the layer, and lower ones hide nothing here. */
  removeWhiteout(): void {}

  addFile(directory: LayerDirectory, name: ByteString, { from, size, metadata, verify }: FileContent): void {
    this.#add({ ...entryOf(this.#beginFile(directory, name, metadata), 'file', metadata), size }, metadata);
    if (typeof from === 'number') {
      this.#write(this.#out.content(from, size, verify));
      verify();
    } else this.#out.bytes(from);
    if (this.#out.hasFull) this.#write(this.#out.drain());
  }

  createLink(
    directory: LayerDirectory,
    name: ByteString,
    { target, metadata }: { readonly target: ByteString; readonly metadata: Metadata },
  ): void {
    const path = this.#beginFile(directory, name, metadata);
    this.#add({ ...entryOf(path, 'symlink', metadata), linkPath: toBytes(target) }, metadata);
  }

  createNode(
    directory: LayerDirectory,
    name: ByteString,
    { kind, metadata }: { readonly kind: number; readonly metadata: Metadata },
  ): boolean {
    if (kind !== FIFO) throw new NotInOnePass();
    this.#add(entryOf(this.#beginFile(directory, name, metadata), 'fifo', metadata), metadata);
    return true;
  }

  link(from: ByteString, path: ByteString, metadata: Metadata): void {
    const level = this.#levels.find((open) => open.path === parentPath(path));
    invariant(level !== undefined, `the directory of ${path} is open`);
    this.#beginFile(level, path.slice(path.lastIndexOf('/') + 1) as ByteString, metadata);
    const entry = entryOf(path, 'hardlink', { ...metadata, xattrs: NO_XATTRS });
    this.#add({ ...entry, linkPath: toBytes(from) }, metadata);
  }

  /** Ends the archive. */
  async finish(): Promise<PackedTar> {
    this.#closeBelow(1);
    this.#out.end();
    this.#write(this.#out.drain());
    return {
      ...(await this.#file.finish()),
      root: this.#rootMetadata,
      nanoseconds: this.#nanoseconds.subarray(0, this.#entries),
      outline: this.#outline,
    };
  }

  [Symbol.dispose](): void {
    for (const { lower } of this.#levels.splice(1)) lower?.[Symbol.dispose]();
    this.#tree?.[Symbol.dispose]();
  }

  #realPath(path: ByteString): ByteString {
    if (this.#tree === undefined) {
      const names = components(path);
      if (names.includes('..' as ByteString)) throw new NotInOnePass();
      return names.join('/') as ByteString;
    }
    using found = resolvePath(this.#tree, path, 'follow');
    return realPath(found);
  }

  /** How many of `names` lead through open directories. */
  #commonDepth(names: readonly ByteString[]): number {
    let path = '' as ByteString;
    let depth = 0;
    for (const name of names) {
      path = joinPath(path, name);
      if (this.#levels[depth + 1]?.path !== path) break;
      depth++;
    }
    return depth;
  }

  /** Begins the file `name`; gives its path. Whether it is the one below, and so not part of the tar, is told by contents: unpacked. */
  #beginFile(directory: LayerDirectory, name: ByteString, metadata: Metadata): ByteString {
    const level = this.#goTo(directory);
    this.#checkNew(level, name);
    const below = level.lower === undefined ? undefined : lookupEntry(level.lower, name)?.stat;
    if (below !== undefined && mayBeUnchanged({ ...metadata, type: below.type }, below)) throw new NotInOnePass();
    level.last = name;
    const path = joinPath(level.path, name);
    if (level.outlined) this.#outline.push({ path, directory: undefined });
    return path;
  }

  /** Begins the directory `name`; gives its path and what lower layers have there. */
  #begin(level: Level, name: ByteString): { readonly path: ByteString; readonly lower: TreeDirectory | undefined } {
    this.#checkNew(level, name);
    level.last = name;
    const below = level.lower === undefined ? undefined : lookupEntry(level.lower, name);
    const lower = below?.stat.type === 'directory' ? openEntry(below) : undefined;
    return { path: joinPath(level.path, name), lower };
  }

  #push(
    path: ByteString,
    o: {
      readonly lower: TreeDirectory | undefined;
      readonly metadata: Metadata;
      readonly as: 'written' | 'unwritten';
      readonly outlined: boolean;
    },
  ): void {
    const level: Level = { ...o, path, unwritten: undefined, last: '' as ByteString };
    this.#levels.push(level);
    const entry = entryOf(path, 'directory', o.metadata);
    if (o.as === 'written') this.#add(entry, o.metadata);
    else level.unwritten = entry;
  }

  #add(entry: TarEntry, metadata: Metadata): void {
    if (!this.#isPlain(metadata) || (entry.type === 'directory' && metadata.xattrs.size > 0)) throw new NotInOnePass();
    for (const level of this.#levels) {
      if (level.unwritten !== undefined) this.#header(level.unwritten);
      level.unwritten = undefined;
    }
    this.#header(entry);
  }

  #header(entry: TarEntry): void {
    this.#out.header(entry);
    if (this.#entries === this.#nanoseconds.length) {
      const grown = new Uint32Array(this.#entries * 2);
      grown.set(this.#nanoseconds);
      this.#nanoseconds = grown;
    }
    this.#nanoseconds[this.#entries++] = entry.mtime.nanoseconds;
    if (this.#out.hasFull) this.#write(this.#out.drain());
  }

  #write(chunks: Iterable<Buffer>): void {
    for (const chunk of chunks) this.#file.write(chunk);
  }

  /** Whether the store's file system is sure to give back what was put into it: an unprivileged user may not set all owners and attributes. */
  #isPlain({ uid, gid, xattrs, mtime }: Metadata): boolean {
    if (mtime.seconds < 0 || mtime.seconds > MAX_SECONDS || ![...xattrs.keys()].every(isLayerXattr)) return false;
    return this.#xattrs === 'trusted' || (uid === 0 && gid === 0 && xattrs.size === 0);
  }

  #checkNew(level: Level | undefined, name: ByteString): void {
    if (level === undefined || name <= level.last || name.startsWith(WHITEOUT_PREFIX)) throw new NotInOnePass();
  }

  /** Makes `directory` the innermost one. */
  #goTo(directory: LayerDirectory): Level {
    const index = this.#levels.indexOf(directory as Level);
    if (index === -1) throw new NotInOnePass();
    this.#closeBelow(index + 1);
    return this.#top();
  }

  #top(): Level {
    const top = this.#levels.at(-1);
    invariant(top !== undefined, 'the root is open');
    return top;
  }

  #closeBelow(depth: number): void {
    for (const level of this.#levels.splice(depth).toReversed()) {
      level.lower?.[Symbol.dispose]();
      // Unpacked, the layer would have this directory; the tar does not.
      if (level.unwritten !== undefined) throw new NotInOnePass();
    }
  }
}

const NEW_ROOT: Metadata = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: NO_XATTRS,
};

function entryOf(path: ByteString, type: TarEntry['type'], { mode, uid, gid, mtime, xattrs }: Metadata): TarEntry {
  return { path: toBytes(path), type, mode, uid, gid, size: 0, mtime, xattrs };
}
