import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '../src/core/error.ts';
import { withoutCgroups, type CgroupDriver } from './cgroup.ts';
import { enterLeaf } from './cgroup-leaf.ts';
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
  const found = unified && usableParent(unified);
  if (unified === undefined || found === undefined) {
    notes('steps run without a cgroup of their own: no group may be made here, so there are no resource limits');
    return withoutCgroups;
  }
  sweepGroups(found.parent, Date.now());
  return new CgroupV2(unified, found.parent, found.leaf);
}

interface UsableParent {
  readonly parent: string;
  /** Where we have moved ourselves, so that the parent can have groups with controllers. */
  readonly leaf?: Disposable | undefined;
}

/**
 * Our own group where its children can have controllers, else the group above. A group with processes in it cannot hand controllers down
 * unless it is the machine's root group: if the only one is ourselves, we make room.
 */
function usableParent({ own, mountPoint }: CgroupHierarchy): UsableParent | undefined {
  const candidates = own === mountPoint ? [own] : [own, dirname(own)];
  const writable = candidates.filter((path) => isWritable(path));
  if (writable[0] === own && !handsDown(own) && offers(own)) {
    const leaf = enterLeaf(own, v2Controllers);
    if (leaf !== undefined && handsDown(own)) return { parent: own, leaf };
    leaf?.[Symbol.dispose]();
  }
  const parent = writable.find((path) => handsDown(path)) ?? writable[0];
  return parent === undefined ? undefined : { parent };
}

const needed = ['memory', 'pids'];

function offers(group: string): boolean {
  const there = readFileSync(`${group}/cgroup.controllers`, 'utf8').trim().split(' ');
  return needed.every((name) => there.includes(name));
}

/**
 * Memory comes first: a group with processes in it refuses that, but takes pids and cpu, and then no group below it takes a process any
 * more (cgroups(7), "domain invalid").
 */
function handsDown(group: string): boolean {
  const [memory = '', ...others] = v2Controllers;
  tryToEnable(group, memory);
  if (!enabledIn(group).includes(memory)) return false;
  for (const name of others) tryToEnable(group, name);
  return needed.every((name) => enabledIn(group).includes(name));
}

function enabledIn(group: string): readonly string[] {
  return readFileSync(`${group}/cgroup.subtree_control`, 'utf8').trim().split(' ');
}

function tryToEnable(group: string, controller: string): void {
  try {
    writeFileSync(`${group}/cgroup.subtree_control`, `+${controller}`);
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'ENOENT', 'EACCES', 'EPERM', 'EINVAL', 'ENOTSUP', 'EROFS')) throw error;
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
