import { ftruncateSync, readSync, writeSync } from 'node:fs';
import { check, EINVAL, ENOSYS, EOPNOTSUPP, EXDEV, syscalls } from './syscalls.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const buffer = Buffer.allocUnsafe(1 << 20);
/** From this size on the kernel copies, sharing blocks where the file system can. */
const KERNEL_COPY = 128 << 10;

/** Copies `size` bytes from the start of one open file to another, new one; holes stay holes. Gives the bytes copied: fewer where the source ended. */
export function copyContent(from: number, to: number, size: number): number {
  if (size < KERNEL_COPY) return copyBytes(from, to, { start: 0, end: size });
  let at = 0;
  while (at < size) {
    const start = syscalls().lseek(from, at, SEEK_DATA);
    // ENXIO: only a hole is left; any other error: the file system knows no holes.
    if (start === -6) break;
    const from1 = start < 0 ? at : start;
    const hole = start < 0 ? size : syscalls().lseek(from, from1, SEEK_HOLE);
    const end = Math.min(hole < 0 ? size : hole, size);
    const copied = copyRange(from, to, { start: from1, end });
    at = from1 + copied;
    if (at < end) return at;
  }
  ftruncateSync(to, size);
  return size;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function copyRange(from: number, to: number, { start, end }: Range): number {
  check(syscalls().lseek(from, start, 0), 'lseek', from);
  check(syscalls().lseek(to, start, 0), 'lseek', `fd ${to}`);
  let at = start;
  while (at < end) {
    const copied = syscalls().copyFileRange(from, to, Math.min(end - at, 1 << 30));
    if (copied === EXDEV || copied === ENOSYS || copied === EOPNOTSUPP || copied === EINVAL) {
      return at - start + copyBytes(from, to, { start: at, end });
    }
    if (check(copied, 'copy_file_range', from) === 0) break;
    at += copied;
  }
  return at - start;
}

function copyBytes(from: number, to: number, { start, end }: Range): number {
  let at = start;
  while (at < end) {
    const read = readSync(from, buffer, 0, Math.min(buffer.length, end - at), at);
    if (read === 0) break;
    for (let written = 0; written < read;) written += writeSync(to, buffer, written, read - written, at + written);
    at += read;
  }
  return at - start;
}
