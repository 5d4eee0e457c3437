import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '../src/core/error.ts';
import { withoutCgroups, type CgroupDriver } from './cgroup.ts';
import { parseHierarchies, type CgroupHierarchy } from './cgroup-hierarchies.ts';
import { sweepGroups } from './cgroup-name.ts';
import { CgroupV1 } from './cgroup-v1.ts';
import { CgroupV2, v2Controllers } from './cgroup-v2.ts';

/** The driver for this machine's cgroups, as far as we may make groups in them; removes what killed builds have left there. */
export function openCgroups(notes: (text: string) => void): CgroupDriver {
  const { v1, unified } = parseHierarchies(
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
  );
  const writable = v1.filter(({ own }) => isWritable(own));
  if (writable.some(({ controllers }) => controllers.length > 0)) {
    const all = unified === undefined ? writable : [...writable, unified];
    for (const { own } of all) sweepGroups(own, Date.now());
    return new CgroupV1(writable, all);
  }
  const parent = unified && usableParent(unified);
  if (unified === undefined || parent === undefined) {
    notes('steps run without a cgroup of their own: no group may be made here, so there are no resource limits');
    return withoutCgroups;
  }
  sweepGroups(parent, Date.now());
  return new CgroupV2(unified, parent);
}

/**
 * Our own group where its children can have controllers, else the group above. A group with processes in it, such as ours, cannot hand
 * controllers down unless it is the machine's root group.
 */
function usableParent({ own, mountPoint }: CgroupHierarchy): string | undefined {
  const candidates = own === mountPoint ? [own] : [own, dirname(own)];
  const writable = candidates.filter((path) => isWritable(path));
  return writable.find((path) => handsDown(path)) ?? writable[0];
}

function handsDown(group: string): boolean {
  for (const name of v2Controllers) tryToEnable(group, name);
  const enabled = readFileSync(`${group}/cgroup.subtree_control`, 'utf8').trim().split(' ');
  return ['memory', 'pids'].every((name) => enabled.includes(name));
}

function tryToEnable(group: string, controller: string): void {
  try {
    writeFileSync(`${group}/cgroup.subtree_control`, `+${controller}`);
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'ENOENT', 'EACCES', 'EPERM', 'EINVAL', 'EOPNOTSUPP', 'EROFS')) throw error;
  }
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) return false;
    throw error;
  }
}
