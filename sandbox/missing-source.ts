import { BuildError } from '../src/core/error.ts';
import { nearestName } from '../src/core/nearest-name.ts';
import { joinPath, toText, type ByteString } from './byte-string.ts';
import { resolvePath } from './path-in-root.ts';
import type { SourceTree } from './source-tree.ts';
import { listNames } from './tree-directory.ts';

/** Why `path` is not in `tree`: the ignore rule that hides it, or a name that comes near. */
export function explainMissing(tree: SourceTree, path: ByteString): BuildError<'SOURCE_NOT_FOUND'> {
  const reason = reasonOf(tree, path);
  return new BuildError('SOURCE_NOT_FOUND', {
    path: `/${toText(path)}`,
    where: tree.where,
    ...(reason !== undefined && { reason }),
  });
}

function reasonOf(tree: SourceTree, path: ByteString): string | undefined {
  using found = resolvePath(tree.root, path, 'follow');
  const [missing] = found.missing;
  if (missing === undefined) {
    const hidden = found.entry === undefined ? '' : toText(joinPath(found.directoryPath, found.entry.name));
    const rule = tree.hidden?.explain(hidden);
    return rule && `it exists, but ${tree.ignoreFile}:${rule.line} excludes it (${rule.pattern})`;
  }
  if (found.directory.parts.length === 0) return 'there are no files at all';
  const near = nearestName(
    toText(missing),
    listNames(found.directory)
      .filter((name) => !isHiddenName(tree, joinPath(found.directoryPath, name)))
      .map(toText),
  );
  if (near !== undefined)
    return `did you mean "/${[toText(found.directoryPath), near, ...found.missing.slice(1).map(toText)].filter((part) => part !== '').join('/')}"?`;
  return found.missing.length > 1 ? `there is no "/${toText(joinPath(found.directoryPath, missing))}"` : undefined;
}

function isHiddenName(tree: SourceTree, path: ByteString): boolean {
  return tree.hidden?.matches(toText(path)) === true;
}
