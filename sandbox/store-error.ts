import { BuildError, diskFailure, isErrno, messageOf } from '../src/core/error.ts';

/** What a failed write into the store means to people: full, read-only, forbidden, broken; anything else as it was. */
export function storeError(error: unknown, path: string): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) return new BuildError('STORE_FULL', { path }, { cause: error });
  if (isErrno(error, 'EROFS', 'EACCES'))
    return new BuildError('STORE_UNUSABLE', { path, reason: messageOf(error) }, { cause: error });
  return diskFailure(error, path) ?? error;
}
