import { createHash, hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { BuildError } from '../src/core/error.ts';
import { toText, type ByteString } from './byte-string.ts';
import { contentXattrs, type Xattrs } from './extended-attributes.ts';
import type { JobContext } from './file-jobs.ts';
import { type FileStat, statOf, unchanged } from './file-stat.ts';
import type { StatCache } from './stat-cache.ts';
import { syscalls } from './syscalls.ts';
import { openFile, type TreeEntry } from './tree-directory.ts';

const buffer = Buffer.allocUnsafe(1 << 20);

/**
 * A digest of a regular file's data and extended attributes, read or known from an earlier time.
 * @param path for messages. @throws CONTEXT_CHANGED where the file is not the one that `entry` describes any more.
 */
export function fileDigest(
  entry: TreeEntry,
  path: ByteString,
  { cache, beforeRead }: Pick<JobContext, 'beforeRead'> & { readonly cache: StatCache | undefined },
): Buffer {
  const known = cache?.lookup(entry.stat);
  if (known !== undefined) return known;
  const fd = openFile(entry, path);
  try {
    const data = digestData(fd, entry.stat.size, beforeRead);
    const xattrs = contentXattrs(fd, path);
    const digest = xattrs.size === 0 ? data : hash('sha256', Buffer.concat([data, frameXattrs(xattrs)]), 'buffer');
    checkUnchanged(statOf(fd), entry.stat, path);
    cache?.record(entry.stat, digest, Math.floor(Date.now() / 1000));
    return digest;
  } finally {
    syscalls().close(fd);
  }
}

/** Attributes as bytes, each field with its length before it. */
export function frameXattrs(xattrs: Xattrs): Buffer {
  return Buffer.concat(
    [...xattrs].flatMap(([name, value]) => [Buffer.from(`${Buffer.byteLength(name)}:${name}${value.length}:`), value]),
  );
}

/** @throws CONTEXT_CHANGED where a file changed between the two looks at it. */
export function checkUnchanged(now: FileStat, before: FileStat, path: ByteString): void {
  if (!unchanged(now, before)) throw new BuildError('CONTEXT_CHANGED', { path: `/${toText(path)}` });
}

/** Reads `size` bytes and no further: whether there are more, the look at the file afterwards tells. */
function digestData(fd: number, size: number, beforeRead: () => void): Buffer {
  if (size <= buffer.length) return hash('sha256', buffer.subarray(0, fill(fd, size, beforeRead)), 'buffer');
  const running = createHash('sha256');
  for (let rest = size; rest > 0;) {
    const read = fill(fd, Math.min(rest, buffer.length), beforeRead);
    if (read === 0) break;
    running.update(buffer.subarray(0, read));
    rest -= read;
  }
  return running.digest();
}

/** Reads `size` bytes into the buffer, fewer where the file ends. */
function fill(fd: number, size: number, beforeRead: () => void): number {
  let filled = 0;
  beforeRead();
  while (filled < size) {
    const read = readSync(fd, buffer, filled, size - filled, null);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}
