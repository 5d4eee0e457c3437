import { IgnoreMatcher } from '../src/core/glob.ts';
import { BuildError, isErrno } from '../src/core/error.ts';
import type { TreePaths } from './file-jobs.ts';
import { SystemError } from './syscalls.ts';
import { openTree, TreeDirectory } from './tree-directory.ts';

/** A tree open for reading. */
export interface SourceTree extends Disposable {
  readonly root: TreeDirectory;
  /** For messages: `the build context`, `the image`. */
  readonly where: string;
  /** What the ignore file hides; absent where it hides nothing. */
  readonly hidden: IgnoreMatcher | undefined;
  readonly ignoreFile: string;
  /** `host`: files count as owned by 0:0, the root directory as 0755, and anything may change at any time. */
  readonly kind: 'host' | 'layers';
}

/** Opens `tree`. @throws CONTEXT_NOT_FOUND */
export function openSourceTree(tree: TreePaths): SourceTree {
  if (tree.kind === 'local') return openLocalTree(tree);
  const root = tree.directories.length === 0 ? undefined : openTree(tree.directories.toReversed());
  return {
    root: root ?? emptyTree(),
    where: 'the source image or stage',
    hidden: undefined,
    ignoreFile: '',
    kind: 'layers',
    [Symbol.dispose]: () => root?.[Symbol.dispose](),
  };
}

function openLocalTree(tree: Extract<TreePaths, { kind: 'local' }>): SourceTree {
  try {
    const root = openTree([tree.root]);
    return {
      root,
      where: tree.name === 'context' ? 'the build context' : `the build context ${JSON.stringify(tree.name)}`,
      hidden: tree.ignore.length === 0 ? undefined : new IgnoreMatcher(tree.ignore, tree.ignoreLines),
      ignoreFile: tree.ignoreFile ?? 'the ignore file',
      kind: 'host',
      [Symbol.dispose]: () => root[Symbol.dispose](),
    };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR'))
      throw new BuildError('CONTEXT_NOT_FOUND', { path: tree.root }, { cause: error });
    throw error;
  }
}

/** A tree without layers: no directory, so nothing is ever found in it. */
function emptyTree(): TreeDirectory {
  return new TreeDirectory([]);
}

/** What a failed call means where a tree may change at any time: a name that is gone, is something else than a moment ago, or not for us to read. */
export function hostError(error: unknown, tree: SourceTree): unknown {
  if (tree.kind !== 'host') return error;
  const isOtherKind = error instanceof SystemError && error.syscall === 'readlink' && error.code === 'EINVAL';
  const isGone = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR'].some((code) => isErrno(error, code));
  const path = error instanceof SystemError ? error.subject : tree.where;
  if (isOtherKind || isGone) return new BuildError('CONTEXT_CHANGED', { path }, { cause: error });
  const unreadable = error instanceof SystemError ? UNREADABLE[error.code] : undefined;
  if (unreadable === undefined) return error;
  const detail = { path: `/${path}`, where: tree.where, ...unreadable };
  return new BuildError('SOURCE_UNREADABLE', detail, { cause: error });
}

const UNREADABLE: Readonly<Record<string, { readonly reason: string; readonly remedy: string } | undefined>> = {
  EACCES: {
    reason: 'permission denied',
    remedy: 'make it readable (chmod u+rX), or exclude it by an ignore file',
  },
  // Of a file capability, whose meaning depends on the user namespace it was set in (capabilities(7)).
  EOVERFLOW: {
    reason: 'its file capability was set in another user namespace',
    remedy: 'set it anew (setcap) as the user who builds or as root, or in a RUN step',
  },
};
