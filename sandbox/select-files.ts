import { posix } from 'node:path';
import { IgnoreMatcher, matchGlob } from '../src/core/glob.ts';
import { type GlobPattern, parseGlob } from '../src/core/glob-pattern.ts';
import { BuildError, messageOf } from '../src/core/error.ts';
import type { Selection } from '../src/core/tree.ts';
import { baseName, components, fromText, joinPath, toText, type ByteString } from './byte-string.ts';
import { explainMissing } from './missing-source.ts';
import { openFoundDirectory, type PathInRoot, realPath, resolvePath } from './path-in-root.ts';
import type { SourceTree } from './source-tree.ts';
import { listNames, lookupEntry } from './tree-directory.ts';

/** One file or directory that a source of a copy names. */
export interface SelectedRoot {
  /** As the source spells it, wildcards resolved; relative to the tree's root, empty for the root. */
  readonly path: ByteString;
  /** `contents`: a directory's contents are meant, or a file. `parents`: what matches `included` below the directory, with its path. */
  readonly layout: 'contents' | 'parents';
  readonly included: GlobPattern | undefined;
  /** The source as written, where nothing matching it is an error. */
  readonly literal: string | undefined;
}

/**
 * The files and directories that `selection` names in `tree`, in its order, those of a wildcard in byte order.
 * @throws SOURCE_NOT_FOUND for a source without wildcards that is missing. A wildcard may match nothing.
 */
export function selectRoots(tree: SourceTree, selection: Pick<Selection, 'paths' | 'parents'>): SelectedRoot[] {
  return selection.paths.flatMap((path) =>
    selection.parents === 'keep' ? [withParents(tree, path)] : matchesOf(tree, path),
  );
}

/** What a selected root is, links followed. @throws SOURCE_NOT_FOUND where it is gone or hidden. */
export function openRoot(tree: SourceTree, root: SelectedRoot): PathInRoot {
  const found = resolvePath(tree.root, root.path, 'follow');
  if (found.missing.length === 0 && !isHidden(tree, found)) return found;
  found[Symbol.dispose]();
  throw explainMissing(tree, root.path);
}

/** The matcher for a copy's exclude patterns. @throws COPY_INVALID */
export function excludeMatcher(patterns: readonly string[]): IgnoreMatcher | undefined {
  if (patterns.length === 0) return undefined;
  try {
    return new IgnoreMatcher(patterns);
  } catch (error) {
    throw new BuildError('COPY_INVALID', { path: '--exclude', reason: messageOf(error) }, { cause: error });
  }
}

/** Whether exclude patterns leave out a file that is itself a root. */
export function isLeftOut(
  root: SelectedRoot,
  { excludeNamed }: Pick<Selection, 'excludeNamed'>,
  excluded: IgnoreMatcher | undefined,
): boolean {
  return excludeNamed === undefined && excluded?.matches(toText(baseName(root.path))) === true;
}

function matchesOf(tree: SourceTree, source: string): SelectedRoot[] {
  const names = posix
    .normalize(`/${source}`)
    .split('/')
    .filter((name) => name !== '');
  const firstWild = names.findIndex(hasWildcard);
  if (firstWild === -1) {
    const root: SelectedRoot = {
      path: fromText(names.map(unescape).join('/')),
      layout: 'contents',
      included: undefined,
      literal: source,
    };
    // Missing sources are found before anything is copied.
    openRoot(tree, root)[Symbol.dispose]();
    return [root];
  }
  const base = fromText(names.slice(0, firstWild).map(unescape).join('/'));
  using found = tree.root.parts.length === 0 ? undefined : resolvePath(tree.root, base, 'follow');
  if (found === undefined || found.missing.length > 0) return [];
  return expand(tree, realPath(found), names.slice(firstWild)).map((path) => ({
    path,
    layout: 'contents',
    included: undefined,
    literal: undefined,
  }));
}

/** The paths below `base` that match component by component; no links are followed, as BuildKit's walk follows none. */
function expand(tree: SourceTree, base: ByteString, patterns: readonly string[]): ByteString[] {
  const [pattern, ...rest] = patterns;
  if (pattern === undefined) return [base];
  using found = resolvePath(tree.root, base, 'keep');
  if (found.missing.length > 0) return [];
  using directory = openFoundDirectory(found);
  if (directory === undefined) return [];
  return listNames(directory)
    .filter((name) => matchGlob(pattern, toText(name)))
    .flatMap((name) => {
      const path = joinPath(base, name);
      if (rest.length === 0) return isIgnored(tree, toText(path)) ? [] : [path];
      return lookupEntry(directory, name)?.stat.type === 'directory' ? expand(tree, path, rest) : [];
    });
}

/** Whether the ignore file hides `path` and all below it. What a link leads to is found out when it is opened. */
function isIgnored({ hidden }: SourceTree, path: string): boolean {
  return hidden?.matches(path) === true && hidden.excludesTree(path);
}

function withParents(tree: SourceTree, source: string): SelectedRoot {
  const [before, after] = splitPivot(source);
  const pattern = posix.normalize(`/${after}`).slice(1).replace(/\/$/, '');
  const path = fromText(
    posix
      .normalize(`/${before}`)
      .split('/')
      .filter((name) => name !== '')
      .map(unescape)
      .join('/'),
  );
  const literal = hasWildcard(pattern) ? undefined : source;
  const root: SelectedRoot = {
    path,
    layout: 'parents',
    included: pattern === '' ? undefined : parseIncluded(pattern),
    literal,
  };
  if (literal !== undefined) {
    const whole = joinPath(path, fromText(components(fromText(unescape(pattern))).join('/')));
    openRoot(tree, { ...root, path: whole })[Symbol.dispose]();
  }
  return root;
}

function splitPivot(source: string): readonly [string, string] {
  const at = `${source}/`.indexOf('/./');
  return at === -1 ? ['/', source] : [source.slice(0, at), source.slice(at + 3)];
}

function parseIncluded(pattern: string): GlobPattern {
  try {
    return parseGlob(pattern, 'ignore');
  } catch (error) {
    throw new BuildError('COPY_INVALID', { path: pattern, reason: messageOf(error) }, { cause: error });
  }
}

/** Whether the ignore file hides what was found, wholly. */
function isHidden(tree: SourceTree, found: PathInRoot): boolean {
  if (tree.hidden === undefined || found.entry === undefined) return false;
  const path = toText(realPath(found));
  return tree.hidden.matches(path) && (found.entry.stat.type !== 'directory' || tree.hidden.excludesTree(path));
}

function hasWildcard(name: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*[*?[]/.test(name);
}

/** What a pattern without wildcards stands for. */
function unescape(name: string): string {
  return name.replaceAll(/\\(.)/g, '$1');
}
