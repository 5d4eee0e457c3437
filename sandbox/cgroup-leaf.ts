import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../src/core/error.ts';
import { groupName } from './cgroup-name.ts';

/**
 * Moves this process out of its own v2 group into one below it, so that the group can hand its controllers down: the kernel refuses that to
 * groups with processes in them. Only where we are alone there, as in a group that systemd has delegated to us; `undefined` elsewhere.
 * Disposing puts everything back.
 */
export function enterLeaf(own: string, controllers: readonly string[]): Disposable | undefined {
  if (!isAlone(own)) return undefined;
  const leaf = join(own, groupName());
  mkdirSync(leaf);
  if (!tryToWrite(join(leaf, 'cgroup.procs'), String(process.pid))) {
    rmdirSync(leaf);
    return undefined;
  }
  return {
    [Symbol.dispose]: () => {
      for (const name of controllers) tryToWrite(join(own, 'cgroup.subtree_control'), `-${name}`);
      // What somebody else has begun in the group keeps us here: then the next build's sweep removes what we leave.
      if (tryToWrite(join(own, 'cgroup.procs'), String(process.pid))) removeIfEmpty(leaf);
    },
  };
}

function isAlone(own: string): boolean {
  return readFileSync(join(own, 'cgroup.procs'), 'utf8').trim() === String(process.pid);
}

function tryToWrite(path: string, text: string): boolean {
  try {
    writeFileSync(path, text);
    return true;
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EBUSY', 'EINVAL', 'ENOENT', 'ENOTSUP', 'EPERM')) return false;
    throw error;
  }
}

function removeIfEmpty(group: string): void {
  try {
    rmdirSync(group);
  } catch (error) {
    if (!isErrno(error, 'EBUSY')) throw error;
  }
}
