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

/** What a failed call means where a tree may change at any time: a name that is gone, or is something else than a moment ago. */
export function hostError(error: unknown, tree: SourceTree): unknown {
  const isOtherKind = error instanceof SystemError && error.syscall === 'readlink' && error.code === 'EINVAL';
  const isGone = isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR');
  if (tree.kind !== 'host' || !(isOtherKind || isGone)) return error;
  return new BuildError(
    'CONTEXT_CHANGED',
    { path: error instanceof SystemError ? error.subject : tree.where },
    { cause: error },
  );
}
