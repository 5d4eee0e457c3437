import type { Digest } from '../src/oci/digest.ts';
import type { LayerTar } from '../src/core/layer-codec.ts';
import type { FileOp } from '../src/core/graph.ts';
import type { ResolvedUser } from '../src/core/file-backend.ts';
import type { LocalTree, Selection } from '../src/core/tree.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import type { ByteString } from './byte-string.ts';

/** A tree as a worker opens it: the directories of its layers, oldest first, or a directory of the host. */
export type TreePaths = { readonly kind: 'layers'; readonly directories: readonly string[] } | LocalTree;

/** What a file operation needs besides its inputs' trees. */
export interface FileOpRequest {
  readonly op: FileOp;
  readonly inputs: readonly TreePaths[];
  /** The empty directory that takes the changes. */
  readonly upper: string;
  /** A path for the layer's packed form. */
  readonly packed: string;
  /** Absent: what is better. */
  readonly form?: LayerForm;
  readonly xattrs: OverlayXattrs;
  /** Where digests of unchanged files are kept. */
  readonly statCache: string;
  /** For directories that the operation makes, where it has no time of its own. */
  readonly nowSeconds: number;
}

/** The digest of a selection, and of the files' states (inode, times, sizes) that it was read from. */
export interface SelectionDigest {
  readonly digest: Digest;
  readonly state: string;
}

/** The states of the files that a copy has read, and the path of the one that changed last. */
export interface FilesRead {
  readonly state: string;
  readonly latest: string | undefined;
}

/** The state of every file and directory of a tree as it was copied, by path: what differs later was changed by a step. */
export type CopyBaseline = ReadonlyMap<ByteString, string>;

/** How a layer lies on disk: as its directory of changes, or as its tar. */
export type LayerForm = 'unpacked' | 'packed';

/** What the workers do in one go: arguments and result by name. All of it can cross between threads. */
export interface FileCalls {
  writeTar: {
    readonly args: {
      readonly layer: string;
      readonly lower: readonly string[];
      readonly to: string;
      readonly epochSeconds: number | undefined;
    };
    readonly result: LayerTar;
  };
  contentDigest: {
    readonly args: {
      readonly tree: TreePaths;
      readonly selection: Selection;
      readonly statCache: string;
      /** Where it is kept what digests were made from. */
      readonly lists: string;
    };
    readonly result: SelectionDigest;
  };
  runFileOp: {
    readonly args: FileOpRequest;
    /** What each copy action read from a directory of the host, by the action's index. */
    readonly result: { readonly form: LayerForm; readonly read: ReadonlyMap<number, FilesRead> };
  };
  unpackLayer: {
    readonly args: { readonly packed: string; readonly upper: string; readonly xattrs: OverlayXattrs };
    readonly result: void;
  };
  readFile: {
    readonly args: { readonly directories: readonly string[]; readonly path: string; readonly maxBytes: number };
    readonly result: Uint8Array | undefined;
  };
  resolveUser: {
    readonly args: { readonly directories: readonly string[]; readonly user: string };
    readonly result: ResolvedUser;
  };
  exportFiles: {
    readonly args: { readonly directories: readonly string[]; readonly to: string };
    readonly result: undefined;
  };
  materialise: {
    readonly args: { readonly directories: readonly string[]; readonly to: string };
    readonly result: CopyBaseline;
  };
  diffCopy: {
    readonly args: {
      readonly copy: string;
      readonly baseline: CopyBaseline;
      readonly directories: readonly string[];
      readonly upper: string;
      readonly xattrs: OverlayXattrs;
    };
    readonly result: undefined;
  };
  copySubtree: {
    readonly args: { readonly tree: TreePaths; readonly path: string; readonly to: string };
    readonly result: undefined;
  };
  measureTree: { readonly args: { readonly directory: string }; readonly result: TreeUsage };
  probeOverlay: {
    readonly args: { readonly directory: string; readonly xattrs: OverlayXattrs };
    readonly result: string | undefined;
  };
}

/** What the workers do with a stream of bytes given to them. */
export interface FileSinks {
  applyTar: {
    readonly args: { readonly upper: string; readonly lower: readonly string[]; readonly xattrs: OverlayXattrs };
    readonly result: LayerTar;
  };
}

/** What the workers give as a stream of bytes. */
export interface FileSources {
  exportTar: { readonly args: { readonly directories: readonly string[]; readonly epochSeconds: number | undefined } };
}

/** What a job sees of its caller. */
export interface JobContext {
  /** Throws once the caller has given up; cheap enough to call for every file. */
  readonly checkpoint: () => void;
  /** The same before each piece of a file is read, which is what takes long. */
  readonly beforeRead: () => void;
}

/** A job that takes bytes. Errors end it. */
export interface ByteSink<R> {
  push(chunk: Uint8Array): void;
  /** All bytes are there. */
  finish(): R;
  /** The caller has given up. */
  abandon(): void;
}
