import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildError, isErrno } from '../src/core/error.ts';

const patienceMs = 10_000;
const pollMs = 2;

/**
 * Stops every process of a group where it is; settles when all of them have stopped.
 * `group` is a directory of the v2 hierarchy, or of v1's freezer.
 * @throws SANDBOX_FAILED
 */
export async function freezeGroup(group: string): Promise<void> {
  if (!setState(group, 'frozen'))
    throw new BuildError('SANDBOX_FAILED', { step: `freeze ${basename(group)}`, reason: 'the group has no freezer' });
  await until(group, () => isFrozen(group));
}

/** Whether every process of a group stands still; one that is not there holds none. */
export function isFrozen(group: string): boolean {
  const v1 = readGroupFile(join(group, 'freezer.state'));
  if (v1 !== undefined) return v1.trim() === 'FROZEN';
  return /^frozen 1$/m.test(readGroupFile(join(group, 'cgroup.events')) ?? '');
}

/** Lets a frozen group go on; settles when all of it does, at once where there is none. @throws SANDBOX_FAILED */
export async function thawGroup(group: string): Promise<void> {
  if (!existsSync(group) || !setState(group, 'running')) return;
  await until(group, () => !isFrozen(group));
}

/**
 * Puts every process of a v1 group into a group of the freezer, which is made; settles when all are there, those forked meanwhile too.
 * Where both are the same, as in v2, nothing is to be done.
 * @throws SANDBOX_FAILED
 */
export async function joinFreezer(members: string, freezer: string): Promise<void> {
  if (members === freezer) return;
  mkdirSync(freezer, { recursive: true });
  await until(freezer, () => {
    const there = new Set(processesOf(freezer));
    const others = processesOf(members).filter((pid) => !there.has(pid));
    for (const pid of others) move(pid, freezer);
    return others.length === 0;
  });
}

/**
 * Kills every process of a group of any hierarchy, those that it forks meanwhile too; settles when the group is empty.
 * Needs no freezer: new processes are found by the next look, and a group with a limit on pids cannot outrun it.
 * @throws SANDBOX_FAILED
 */
export async function killGroup(group: string): Promise<void> {
  await until(group, () => {
    const pids = processesOf(group);
    // Linux 5.14, v2 only: all at once, without a look in between.
    if (!tryToWrite(join(group, 'cgroup.kill'), '1')) for (const pid of pids) kill(pid);
    return pids.length === 0;
  });
}

/** Whether the group has a freezer to be told. */
function setState(group: string, state: 'frozen' | 'running'): boolean {
  const v2 = tryToWrite(join(group, 'cgroup.freeze'), state === 'frozen' ? '1' : '0');
  return v2 || tryToWrite(join(group, 'freezer.state'), state === 'frozen' ? 'FROZEN' : 'THAWED');
}

/** A group that its owner has removed meanwhile holds none. */
function processesOf(group: string): readonly number[] {
  return (readGroupFile(join(group, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number);
}

function move(pid: number, group: string): void {
  try {
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/** A process of another pid namespace is told as 0, which would be all of ours. */
function kill(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/** The text of a group's file; `undefined` where there is none, or no more. */
export function readGroupFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isRemoved(error)) return undefined;
    throw error;
  }
}

/** Whether there is such a file. Nothing is made: a hierarchy has the files that it has. */
function tryToWrite(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (isRemoved(error)) return false;
    throw error;
  }
}

/** What the kernel says of a group's file that is not there, or no more while it is open. */
function isRemoved(error: unknown): boolean {
  return isErrno(error, 'ENOENT', 'ENODEV');
}

async function until(group: string, reached: () => boolean): Promise<void> {
  for (const end = performance.now() + patienceMs; !reached(); await delay(pollMs)) {
    if (performance.now() > end)
      throw new BuildError('SANDBOX_FAILED', { step: `control ${basename(group)}`, reason: 'it does not react' });
  }
}
