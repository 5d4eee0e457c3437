import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isErrno } from '../src/core/error.ts';

/** The path of a program in PATH or, since ordinary users often have those not in theirs, in the system's own folders; `undefined` without it. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => isExecutable(path));
}

/** Whether there is a file at `path` that we may execute. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return false;
    throw error;
  }
}
