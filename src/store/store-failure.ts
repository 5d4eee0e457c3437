import { closeSync, openSync, statfsSync } from 'node:fs';
import { BuildError, diskFailure, isErrno, messageOf } from '../core/error.ts';

const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
/** Less than this free and a failed write of sqlite's is one for want of space. */
const FULL_BYTES = 64 * 1024;

/**
 * What a failed write below `path` means to the user: STORE_FULL, STORE_UNUSABLE, DISK_FAILED, or the error itself where it is neither. `file` is
 * what was read or written, for errors that name none.
 */
export function storeFailure(error: unknown, path: string, file = path): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT') || sqliteCode(error) === SQLITE_FULL) {
    return new BuildError('STORE_FULL', { path }, { cause: error });
  }
  // sqlite reports a full disk as an I/O error where it cannot enlarge its shared memory.
  if (sqliteCode(error) === SQLITE_IOERR && freeBytes(path) < FULL_BYTES) {
    return new BuildError('STORE_FULL', { path }, { cause: error });
  }
  if (sqliteCode(error) === SQLITE_IOERR) {
    return new BuildError('DISK_FAILED', { path: file, reason: messageOf(error) }, { cause: error });
  }
  if ([SQLITE_READONLY, SQLITE_CANTOPEN].includes(sqliteCode(error) ?? 0)) {
    const refusal = openingError(file) ?? error;
    return diskFailure(refusal, file) ?? unusable(path, refusal);
  }
  if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ELOOP')) return unusable(path, error);
  return diskFailure(error, file) ?? error;
}

/** Runs `work` on the open file `path`, which Node's errors do not name: DISK_FAILED does. */
export async function onOpenFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskFailure(error, path) ?? error;
  }
}

function unusable(path: string, error: unknown): BuildError {
  return new BuildError('STORE_UNUSABLE', { path, reason: messageOf(error) }, { cause: error });
}

/** Why a file that is there cannot be opened to write: sqlite does not say. */
function openingError(file: string): unknown {
  try {
    closeSync(openSync(file, 'r+'));
    return undefined;
  } catch (error) {
    return isErrno(error, 'ENOENT') ? undefined : error;
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** The primary result code of an error that node:sqlite threw, `undefined` for any other. */
export function sqliteCode(error: unknown): number | undefined {
  if (!isErrno(error, 'ERR_SQLITE_ERROR') || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}
