import { components, type ByteString } from './byte-string.ts';
import type { Xattrs } from './extended-attributes.ts';
import type { FileStat, FileTime, FileType } from './file-stat.ts';

/** What a new file or directory is to be, besides its content. */
export interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  readonly xattrs: Xattrs;
}

/** A directory of a layer that is being made; only the target that gave it knows what to do with it. */
export interface LayerDirectory {
  /** The real path in the tree. */
  readonly path: ByteString;
}

/** What stands at a name in the tree that the layer and the lower layers make together. */
export interface Standing {
  readonly stat: FileStat;
  readonly where: 'upper' | 'lower';
}

/** A regular file to be put into a layer. */
export interface FileContent {
  /** A descriptor at its start, or the bytes themselves. */
  readonly from: number | Uint8Array;
  readonly size: number;
  readonly metadata: Metadata;
  /** Called once everything was read; throws where the source has changed meanwhile. */
  readonly verify: () => void;
}

/** What file operations put files into: a layer's directory of changes, or its tar. Paths without an owner are real paths in the tree. */
export interface LayerTarget {
  /** The real path of `path`: links followed, also of the last component; what is missing counts as it is spelled. */
  resolve(path: ByteString): ByteString;
  /** What is at the real path `path`; the root is a directory. */
  typeAt(path: ByteString): FileType | undefined;
  /** What stands at `name` in `directory`. */
  standing(directory: LayerDirectory, name: ByteString): Standing | undefined;
  /** The directory at `path`, as it is below or made with `made` where it is missing. */
  directory(path: ByteString, made: (path: ByteString) => Metadata): LayerDirectory;
  /** Gives the directory `name` of `parent` these attributes, makes it where it is missing, and opens it. */
  enterNew(parent: LayerDirectory, name: ByteString, metadata: Metadata): LayerDirectory;
  /** Closes what `enterNew` gave. */
  leave(directory: LayerDirectory): void;
  /** Removes from the layer what it has at `name`, with all below. */
  remove(directory: LayerDirectory, name: ByteString): void;
  /** Removes a whiteout that stands at `name`, if one does. */
  removeWhiteout(directory: LayerDirectory, name: ByteString): void;
  /** A new regular file. */
  addFile(directory: LayerDirectory, name: ByteString, content: FileContent): void;
  /** A new symbolic link. */
  createLink(
    directory: LayerDirectory,
    name: ByteString,
    o: { readonly target: ByteString; readonly metadata: Metadata },
  ): void;
  /** A new fifo or device node; false where this process may not make it. @param o.kind the file type bits of its mode. */
  createNode(
    directory: LayerDirectory,
    name: ByteString,
    o: { readonly kind: number; readonly device: number; readonly metadata: Metadata },
  ): boolean;
  /** Gives the file at the real path `from`, which is in this layer and has this `metadata`, the further name `path`. */
  link(from: ByteString, path: ByteString, metadata: Metadata): void;
}

/** The first name on the way to the real path `path` that is there and no directory. */
export function blockedAt(target: Pick<LayerTarget, 'typeAt'>, path: ByteString): ByteString | undefined {
  const names = components(path);
  return names
    .map((_, i) => names.slice(0, i + 1).join('/') as ByteString)
    .find((prefix) => !['directory', undefined].includes(target.typeAt(prefix)));
}
