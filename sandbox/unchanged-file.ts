import { readSync } from 'node:fs';
import { fileCapability } from './extended-attributes.ts';
import { type FileStat, sameOwnerAndMode, sameTime } from './file-stat.ts';
import { syscalls } from './syscalls.ts';
import { directoryStat, openFile, readLink, type TreeDirectory, type TreeEntry } from './tree-directory.ts';

const CHUNK_BYTES = 1 << 18;
const one = Buffer.alloc(CHUNK_BYTES);
const other = Buffer.alloc(CHUNK_BYTES);

/*
 * A layer's directory also has what a step only touched: overlayfs copies a file up before it is given the mode that it has already. Such
 * files and directories stay out of the layer's tar, as with BuildKit: those that have the type, owner, mode, capability, size and time
 * which they have below. Of directories the time does not count.
 */

/** Whether a directory of a layer is as it is below. */
export function isUnchangedDirectory(layer: TreeDirectory, lower: TreeDirectory): boolean {
  return sameOwnerAndMode(directoryStat(layer), directoryStat(lower)) && sameCapability(layer.top, lower.top);
}

/** Whether the open regular file `fd` of a layer is what is `below` it. */
export function isUnchangedFile(fd: number, stat: FileStat, below: TreeEntry | undefined): boolean {
  if (below === undefined || !mayBeUnchanged(stat, below.stat) || stat.size !== below.stat.size) return false;
  const lower = openFile(below);
  try {
    return sameCapability(fd, lower) && (!isWhole(stat) || sameContent(fd, lower, stat.size));
  } finally {
    syscalls().close(lower);
  }
}

/** Whether a link or node of a layer is what is `below` it. */
export function isUnchangedNode(entry: TreeEntry, below: TreeEntry | undefined): boolean {
  const { stat } = entry;
  if (below === undefined || !mayBeUnchanged(stat, below.stat)) return false;
  if (stat.type === 'symlink') return !isWhole(stat) || readLink(entry) === readLink(below);
  return stat.deviceMajor === below.stat.deviceMajor && stat.deviceMinor === below.stat.deviceMinor;
}

/** Whether a file with these attributes can be one that is unchanged. */
export function mayBeUnchanged(
  stat: Pick<FileStat, 'type' | 'mode' | 'uid' | 'gid' | 'mtime'>,
  below: FileStat,
): boolean {
  return stat.type === below.type && sameOwnerAndMode(stat, below) && sameTime(stat.mtime, below.mtime);
}

/** Times that come from an archive have lost their fraction: they say too little. */
function isWhole({ mtime }: FileStat): boolean {
  return mtime.nanoseconds === 0;
}

function sameCapability(fd: number, lower: number): boolean {
  const [now, before] = [fileCapability(fd), fileCapability(lower)];
  return now === undefined ? before === undefined : before !== undefined && now.equals(before);
}

function sameContent(fd: number, lower: number, size: number): boolean {
  for (let at = 0; at < size;) {
    const read = readSync(fd, one, 0, CHUNK_BYTES, at);
    if (read === 0 || readFully(lower, read, at) !== read || one.compare(other, 0, read, 0, read) !== 0) return false;
    at += read;
  }
  return true;
}

function readFully(fd: number, size: number, at: number): number {
  let filled = 0;
  while (filled < size) {
    const read = readSync(fd, other, filled, size - filled, at + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}
