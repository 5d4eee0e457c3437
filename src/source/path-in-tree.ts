import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../core/error.ts';

const MAX_LINKS = 40;

/**
 * Where `path` leads in the tree at `root`, symbolic links resolved as if `root` were `/`; `undefined` where there is nothing.
 * The result is a path without links at the time of looking: good for the few files that are read before a build begins, and opened
 * with O_NOFOLLOW; not for trees that an adversary changes meanwhile.
 */
export async function resolveInTree(root: string, path: string): Promise<string | undefined> {
  const pending = path.split('/');
  const found: string[] = [];
  for (let links = 0; pending.length > 0;) {
    const name = pending.shift() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      found.pop();
      continue;
    }
    const target = await linkAt(join(root, ...found, name));
    if (target === 'nothing') return undefined;
    if (target === 'no link') found.push(name);
    else {
      links++;
      if (links > MAX_LINKS) return undefined;
      if (target.to.startsWith('/')) found.length = 0;
      pending.unshift(...target.to.split('/'));
    }
  }
  return join(root, ...found);
}

async function linkAt(path: string): Promise<'nothing' | 'no link' | { readonly to: string }> {
  try {
    return (await lstat(path)).isSymbolicLink() ? { to: await readlink(path) } : 'no link';
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return 'nothing';
    throw error;
  }
}
