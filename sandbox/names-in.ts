import { readdirSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';

/** The names in a directory; none where it is not there. */
export function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
