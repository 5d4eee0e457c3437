import { posix } from 'node:path';

/** The shortest equal path: `.`, `..` and doubled slashes resolved, no slash at the end but in `/`; `.` for the empty path. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** `path` seen from `directory`, clean; an absolute `path` stays where it is. */
export function joinPath(directory: string, path: string): string {
  return cleanPath(path.startsWith('/') ? path : `${directory}/${path}`);
}

/** `path` as an absolute, clean one that cannot leave `/`. */
export function rootedPath(path: string): string {
  return cleanPath(`/${path}`);
}

/** The last component; `.` for the empty path, `/` for the root. */
export function baseName(path: string): string {
  if (path === '') return '.';
  return posix.basename(path) === '' ? '/' : posix.basename(path);
}
