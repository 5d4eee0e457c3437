import { dirname } from 'node:path';
import { isErrno } from './error.ts';

/** What of `node:fs` makes directories. */
export interface DirectoryCalls {
  readonly mkdirSync: (path: string, o: { readonly mode: number }) => unknown;
  readonly statSync: (path: string, o: { readonly throwIfNoEntry: false }) => { isDirectory(): boolean } | undefined;
}

/** Makes a directory with its parents; one that is there will do. @throws what the kernel says, EEXIST where something else is in its place */
export type DirectoryMaker = (path: string, o?: { readonly mode: number }) => void;

/**
 * Instead of Node's `recursive`, which never returns from where the kernel does not find what it is asked to make, as below /proc, and which says
 * ENOENT of a disk that fails.
 */
export function directoryMaker({ mkdirSync, statSync }: DirectoryCalls): DirectoryMaker {
  const lookup = (path: string): { isDirectory(): boolean } | undefined => statSync(path, { throwIfNoEntry: false });
  const makeOne = (path: string, o: { readonly mode: number }): void => {
    try {
      mkdirSync(path, o);
    } catch (error) {
      if (!isErrno(error, 'EEXIST') || lookup(path)?.isDirectory() !== true) throw error;
    }
  };
  return function makeDirectory(path, o = { mode: 0o777 }) {
    try {
      makeOne(path, o);
    } catch (error) {
      const parent = dirname(path);
      if (!isErrno(error, 'ENOENT') || parent === path) throw error;
      if (lookup(parent) === undefined) makeDirectory(parent, o);
      // Also where another process was quicker to make the parent.
      makeOne(path, o);
    }
  };
}
