import { lstatSync, readdirSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import type { JobContext } from './file-jobs.ts';

/** What a directory and all below it occupy; hard links count once. What goes away meanwhile, or was never there, counts as nothing. */
export function measureTree(
  { directory }: { readonly directory: string },
  { checkpoint }: Pick<JobContext, 'checkpoint'>,
): TreeUsage {
  const seen = new Set<string>();
  let bytes = 0;
  const pending: Buffer[] = [Buffer.from(directory)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    checkpoint();
    const info = lstatSync(path, { throwIfNoEntry: false });
    const identity = info === undefined ? undefined : `${info.dev}:${info.ino}`;
    if (info === undefined || identity === undefined || seen.has(identity)) continue;
    seen.add(identity);
    bytes += info.blocks * 512;
    if (info.isDirectory()) pending.push(...childrenOf(path));
  }
  return { bytes, inodes: seen.size };
}

function childrenOf(directory: Buffer): readonly Buffer[] {
  try {
    const names = readdirSync(directory, { encoding: 'buffer' });
    return names.map((name) => Buffer.concat([directory, Buffer.from('/'), name]));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
