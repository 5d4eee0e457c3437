import type { Digest } from '../oci/digest.ts';
import type { FileOp } from './graph.ts';
import type { LayerId, LayerStack } from './snapshot.ts';
import type { Selection, Tree } from './tree.ts';
import type { TreeUsage } from './tree-usage.ts';

/** A user as the tree's /etc/passwd and /etc/group have it. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, the primary one included. */
  readonly additionalGids: readonly number[];
  /** The home directory, `/` where passwd has none. */
  readonly home: string;
}

/** One file as a content digest saw it. */
export interface SelectedFile {
  /** `file`, `directory`, `symlink`, or another file type. */
  readonly type: string;
  /** Which of the selection's roots it belongs to, in order, and that root's last name. */
  readonly root: { readonly index: number; readonly name: string };
  /** Relative to the root; empty for the root itself. */
  readonly path: string;
  /** Permission bits; 0 for symbolic links. */
  readonly mode: number;
  /** `uid:gid` */
  readonly owner: string;
  /** Equal for equal data, link targets, extended attributes or device numbers. */
  readonly content: string;
}

/** Reads and changes files of untrusted trees; every path is resolved inside its tree. */
export interface FileBackend {
  /**
   * One digest over all that a copy of `selection` would bring along: names, types, modes, owners, sizes, link targets, device numbers, xattrs, data.
   * Not over times, inodes or the place of the tree. Wildcards without a match count as nothing.
   * @throws SOURCE_NOT_FOUND for a literal path that is missing, with a near name or the ignore rule that hides it.
   */
  contentDigest(tree: Tree, selection: Selection, o?: { readonly signal?: AbortSignal | undefined }): Promise<Digest>;
  /** The files that such a digest was made from, while that is remembered; for explanations only. */
  lookupSelection?(digest: Digest): Promise<readonly SelectedFile[] | undefined>;
  /**
   * Does `op` and gives the one layer that holds its changes; `inputs` are in the op's order.
   * @throws SOURCE_NOT_FOUND, COPY_INVALID, PATH_INVALID, USER_NOT_FOUND, CONTEXT_CHANGED, ARCHIVE_INVALID, STORE_FULL
   */
  run(op: FileOp, inputs: readonly Tree[], o?: { readonly signal?: AbortSignal | undefined }): Promise<LayerId>;
  /** The bytes of a regular file (links followed inside the tree), or `undefined` where there is none. @throws PATH_INVALID beyond `maxBytes`. */
  readFile(stack: LayerStack, path: string, o: { readonly maxBytes: number }): Promise<Uint8Array | undefined>;
  /** The user that USER or `RUN` means in this tree (`1000`, `app`, `app:staff`, `` = root). @throws USER_NOT_FOUND */
  resolveUser(stack: LayerStack, user: string): Promise<ResolvedUser>;
  /** What a directory of the store and all below it occupy; hard links count once. */
  usage(directory: string): Promise<TreeUsage>;
  /**
   * Writes the whole tree into the host directory `to` (made if missing; files there are replaced, others stay), never outside it.
   * Files belong to the caller.
   */
  exportTo(stack: LayerStack, to: string, o?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** The whole tree as one tar stream, entries in byte order, without whiteouts. */
  exportTar(
    stack: LayerStack,
    o?: { readonly epochSeconds?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
}
