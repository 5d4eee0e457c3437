import { readFileSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';

/** The text of a file of the host, `undefined` where there is none: of what a kernel may not have, or a system not be set up with. */
export function lookupText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
