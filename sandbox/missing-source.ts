import { BuildError } from '../src/core/error.ts';
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
    return rule && `it exists, but the pattern ${JSON.stringify(rule.pattern)} of ${tree.ignoreFile} excludes it`;
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

/** The name that differs from `wanted` in the fewest letters: at most a third of them, upper and lower case counting as half. */
function nearestName(wanted: string, names: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of names) {
    if (Math.abs(name.length - wanted.length) > limit) continue;
    const distance = Math.min(editDistance(wanted, name), 0.5 + editDistance(wanted.toLowerCase(), name.toLowerCase()));
    if (distance <= limit && distance < (best?.distance ?? Infinity)) best = { name, distance };
  }
  return best?.name;
}

/** Letters to change, add, remove or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const substituted = at(i - 1, j - 1) + Number(a[i - 1] !== b[j - 1]);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity;
      row.push(Math.min(substituted, swapped, at(i - 1, j) + 1, at(i, j - 1) + 1));
    }
  }
  return at(a.length, b.length);
}
