import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';
import { holderIn } from '../src/core/lock-wait.ts';
import { check, EAGAIN, LOCK_EX, LOCK_NB, LOCK_SH, syscalls } from './syscalls.ts';

/** A lock of a file or directory that the kernel frees when this is disposed or the process dies, however it dies (flock(2)). */
export interface FileLock extends Disposable {
  readonly path: string;
}

/**
 * Locks the file or directory at `path` without waiting; `undefined` where somebody else holds it in a conflicting way.
 * Locks of one process conflict as well. @throws ENOENT where there is nothing at `path`.
 */
export function tryLock(path: string, mode: 'shared' | 'exclusive'): FileLock | undefined {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const result = syscalls().flock(fd, (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB);
  if (result !== EAGAIN && result >= 0 && isStillAt(path, fd)) return { path, [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  if (result !== EAGAIN) check(result, 'flock', path);
  return undefined;
}

/** Who holds a lock of the file at `path`, in words. */
export function nameHolder(path: string): string {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return 'another process';
  return holderIn(readFileSync('/proc/locks', 'utf8'), { device: file.dev, inode: file.ino }, process.pid);
}

/** A file removed and made anew between open and flock would give a lock that nobody else sees. */
function isStillAt(path: string, fd: number): boolean {
  try {
    const [held, named] = [fstatSync(fd), statSync(path)];
    return held.ino === named.ino && held.dev === named.dev;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
