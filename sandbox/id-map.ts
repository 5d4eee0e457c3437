import { readFileSync } from 'node:fs';
import { BuildError } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';

/** Ids that a user namespace has: the first one and how many, in lines of `INSIDE OUTSIDE COUNT` (user_namespaces(7)). */
type IdRanges = readonly { readonly first: number; readonly count: number }[];

let own: { readonly users: IdRanges; readonly groups: IdRanges } | undefined;

/** Refuses an owner whom no file or process of this user namespace can have. @throws ID_NOT_MAPPED */
export function requireIds({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
  const { users, groups } = ownIds();
  if (!holds(users, uid) || !holds(groups, gid)) throw new BuildError('ID_NOT_MAPPED', { uid, gid });
}

/** Refuses a step whose user, or the owner of something mounted into it, is not to be had. @throws ID_NOT_MAPPED */
export function requireStepIds({ process, mounts }: RuntimeSpec): void {
  requireIds(process.user);
  for (const mount of mounts) if (mount.type === 'file' || mount.type === 'socket') requireIds(mount);
}

/** Whether root is the only user of this user namespace, for want of a range in /etc/subuid. */
export function hasOneId(): boolean {
  return ownIds().users.every(({ count }) => count === 1);
}

function ownIds(): NonNullable<typeof own> {
  own ??= { users: readRanges('/proc/self/uid_map'), groups: readRanges('/proc/self/gid_map') };
  return own;
}

function readRanges(file: string): IdRanges {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return { first, count };
  });
}

function holds(ranges: IdRanges, id: number): boolean {
  return ranges.some(({ first, count }) => id >= first && id < first + count);
}
