import type { IgnoreMatcher } from '../src/core/glob.ts';
import type { GlobPattern } from '../src/core/glob-pattern.ts';
import { BuildError } from '../src/core/error.ts';
import { joinPath, toText, type ByteString } from './byte-string.ts';
import { listNames, lookupEntry, openEntry, type TreeDirectory, type TreeEntry } from './tree-directory.ts';

/** Sees the files of a walk: every directory before what is in it, names in byte order. Paths are relative to the walk's root. */
export interface TreeVisitor {
  /** Not called for the root. A directory that is not selected itself comes only where something below it is. */
  readonly enter: (path: ByteString, entry: TreeEntry, directory: TreeDirectory) => unknown;
  readonly leave: (path: ByteString) => void;
  /** Anything but directories and sockets. */
  readonly file: (path: ByteString, entry: TreeEntry) => unknown;
}

/** Which files of a walk count. */
export interface WalkFilter {
  /** What the tree's ignore file hides, by path in the tree. */
  readonly hidden: IgnoreMatcher | undefined;
  /** What the copy leaves out, by path below the walk's root. */
  readonly excluded: IgnoreMatcher | undefined;
  /** If present only what matches, and all below it, counts; by path below the walk's root. */
  readonly included: GlobPattern | undefined;
}

/** A directory to walk. */
export interface WalkRoot {
  readonly directory: TreeDirectory;
  /** Its real path in the tree. */
  readonly path: ByteString;
  readonly filter: WalkFilter;
}

/** Directories within each other; each holds a descriptor. */
const MAX_DEPTH = 1000;

/** Visits everything below `root` that its filter lets through. */
export function walkTree(root: WalkRoot, visitor: TreeVisitor): void {
  const { hidden, excluded, included } = root.filter;
  const base = { root, visitor, filtered: hidden !== undefined || excluded !== undefined || included !== undefined };
  visit(base, {
    directory: root.directory,
    path: '' as ByteString,
    treePath: root.path,
    depth: 0,
    included: included === undefined,
    announce: () => undefined,
  });
}

interface Walk {
  readonly root: WalkRoot;
  readonly visitor: TreeVisitor;
  readonly filtered: boolean;
}

interface Place {
  readonly directory: TreeDirectory;
  readonly path: ByteString;
  readonly treePath: ByteString;
  readonly depth: number;
  /** Whether an include pattern covers it. */
  readonly included: boolean;
  /** Tells the visitor of this directory and those above, unless it knows. */
  readonly announce: () => void;
}

function visit(walk: Walk, place: Place): void {
  if (place.depth > MAX_DEPTH) {
    throw new BuildError('PATH_INVALID', {
      path: toText(place.treePath).slice(0, 200),
      reason: `is more than ${MAX_DEPTH} directories deep`,
    });
  }
  for (const name of listNames(place.directory)) {
    const path = joinPath(place.path, name);
    const verdict = walk.filtered ? judge(walk.root.filter, place, path) : 'take';
    if (verdict === 'skip') continue;
    const entry = lookupEntry(place.directory, name);
    if (entry === undefined || entry.stat.type === 'socket') continue;
    if (entry.stat.type === 'directory') descend(walk, place, { path, entry, verdict });
    else if (verdict === 'take') {
      place.announce();
      walk.visitor.file(path, entry);
    }
  }
}

interface Step {
  readonly path: ByteString;
  readonly entry: TreeEntry;
  readonly verdict: 'take' | 'pass';
}

function descend(walk: Walk, place: Place, { path, entry, verdict }: Step): void {
  const treePath = joinPath(place.treePath, entry.name);
  using directory = openEntry(entry, treePath);
  let announced = false;
  const announce = (): void => {
    if (announced) return;
    announced = true;
    place.announce();
    walk.visitor.enter(path, entry, directory);
  };
  if (verdict === 'take') announce();
  const included = place.included || walk.root.filter.included?.matches(toText(path)) === true;
  visit(walk, {
    directory,
    path,
    treePath,
    depth: place.depth + 1,
    included,
    announce,
  });
  if (announced) walk.visitor.leave(path);
}

/** `pass`: not selected itself, but something below it may be. */
function judge({ hidden, excluded, included }: WalkFilter, place: Place, path: ByteString): 'take' | 'pass' | 'skip' {
  const text = toText(path);
  let verdict: 'take' | 'pass' = 'take';
  if (hidden !== undefined) {
    const treeText = toText(joinPath(place.treePath, path.slice(path.lastIndexOf('/') + 1) as ByteString));
    if (hidden.matches(treeText)) {
      if (hidden.excludesTree(treeText)) return 'skip';
      verdict = 'pass';
    }
  }
  if (excluded?.matches(text) === true) {
    if (excluded.excludesTree(text)) return 'skip';
    verdict = 'pass';
  }
  if (included === undefined || place.included || included.matches(text)) return verdict;
  return included.couldMatchBelow(text) ? 'pass' : 'skip';
}
