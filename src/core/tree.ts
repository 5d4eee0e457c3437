import type { LayerStack } from './snapshot.ts';

/**
 * A directory of the host whose files a build may read: a build context, a git checkout, a downloaded file.
 * Its files count as owned by 0:0. It is hostile: nothing in it may lead outside `root`, and it may change at any time.
 */
export interface LocalTree {
  readonly kind: 'local';
  /** For messages: `context`, or a named context's name. */
  readonly name: string;
  /** Absolute path of a directory. */
  readonly root: string;
  /** Ignore-file patterns in order (moby's semantics); what they exclude does not exist. */
  readonly ignore: readonly string[];
  /** The line of each pattern in `ignoreFile`, for messages. */
  readonly ignoreLines?: readonly number[];
  /** The ignore file's name for messages (`.dockerignore`), where there is one. */
  readonly ignoreFile?: string;
}

/** What a vertex gives: a stack of layers, or (sources only) a directory of the host. */
export type Tree = { readonly kind: 'layers'; readonly stack: LayerStack } | LocalTree;

/** Which files of a tree matter: what a copy would read. Same meaning as the fields of `CopyAction`. */
export interface Selection {
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  /** As in `CopyAction`. */
  readonly excludeNamed?: 'copy';
  readonly parents: 'keep' | 'drop';
}
