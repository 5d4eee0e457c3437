import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { BuildError, isErrno } from '../src/core/error.ts';

const prefix = 'tsbuild-';
const abandonedAfterMs = 60_000;

/** A new name for a step's group; it carries our process id, so that what a killed keeper leaves can be told from what is in use. */
export function groupName(): string {
  return `${prefix}${process.pid}-${randomBytes(6).toString('hex')}`;
}

/**
 * The directories of the configured parent below a hierarchy, outermost first: an absolute one counts from the hierarchy's top, a relative
 * one from our own group.
 * @throws PATH_INVALID
 */
export function parentGroups(mountPoint: string, own: string, parent: string): readonly string[] {
  const names = parent.split('/').filter((name) => name !== '');
  if (names.length === 0 || names.some((name) => name === '.' || name === '..')) {
    throw new BuildError('PATH_INVALID', { path: parent, reason: 'names no cgroup' });
  }
  const top = parent.startsWith('/') ? mountPoint : own;
  return names.map((_, index) => `${top}/${names.slice(0, index + 1).join('/')}`);
}

/** Removes groups below `directory` whose keeper was killed before it could: empty ones of processes that are no more. */
export function sweepGroups(directory: string, nowMs: number): void {
  for (const name of readdirSync(directory).filter((each) => each.startsWith(prefix))) {
    const path = `${directory}/${name}`;
    try {
      if (isAlive(name.slice(prefix.length).split('-')[0] ?? '') || nowMs - statSync(path).ctimeMs < abandonedAfterMs)
        continue;
      rmdirSync(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'EBUSY', 'EACCES', 'EPERM', 'EROFS')) throw error;
    }
  }
}

/** Whether there is a process of that id, as far as we may know. */
export function isAlive(pid: string): boolean {
  try {
    readFileSync(`/proc/${pid}/stat`);
    return true;
  } catch (error) {
    return !isErrno(error, 'ENOENT');
  }
}
