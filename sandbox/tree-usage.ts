import { lstat, readdir } from 'node:fs/promises';

/** Bytes that a directory and all below it occupy on disk, and the number of inodes; hard links count once. Nothing else may change it. */
export async function treeUsage(directory: string): Promise<{ readonly bytes: number; readonly inodes: number }> {
  const seen = new Set<string>();
  let bytes = 0;
  const pending: Buffer[] = [Buffer.from(directory)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = await lstat(path);
    const identity = `${stat.dev}:${stat.ino}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    bytes += stat.blocks * 512;
    if (!stat.isDirectory()) continue;
    for (const name of await readdir(path, { encoding: 'buffer' })) {
      pending.push(Buffer.concat([path, Buffer.from('/'), name]));
    }
  }
  return { bytes, inodes: seen.size };
}
