import { globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What identifies the things that one rig's tsbuild makes. */
export interface LeakScope {
  readonly store: string;
  /** `NAME=value` in the environment of whatever it started. */
  readonly mark: string;
  /** The process ids that tsbuild itself had. */
  readonly pids: readonly number[];
}

/** Looks through all processes, cgroups and the store for what outlived tsbuild; one line each, empty where all is well. */
export async function findLeaks(scope: LeakScope): Promise<readonly string[]> {
  return [...leakedByProcesses(scope), ...leakedCgroups(scope), ...leakedFiles(scope.store)];
}

function leakedByProcesses({ store, mark }: LeakScope): readonly string[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = new Set<string>();
  for (const id of ids) {
    const command = readProc(id, 'cmdline').replaceAll('\0', ' ').trim();
    const mounts = readProc(id, 'mountinfo').split('\n');
    for (const line of mounts.filter((text) => text.includes(store))) {
      found.add(`mount of process ${id} (${command}): ${line}`);
    }
    const inStore = ['cwd', 'root'].some((link) => readProcLink(id, link).startsWith(store));
    // A process that ended and was not yet waited for has no environment and no command line.
    if (inStore || command.includes(store) || readProc(id, 'environ').split('\0').includes(mark)) {
      found.add(`process ${id}: ${command}`);
    }
  }
  return [...found];
}

/** Cgroups in any hierarchy, whose names hold `tsbuild` and the id of a process that was ours. */
function leakedCgroups({ pids }: LeakScope): readonly string[] {
  const folders = globSync('/sys/fs/cgroup/**/*tsbuild*').filter(
    (path) => !/\/(cgroup|memory|cpu|pids|io)\.[\w.]+$/.test(path),
  );
  return folders
    .filter((path) => pids.some((pid) => new RegExp(`\\b${pid}\\b`).test(path)))
    .map((path) => `cgroup ${path}`);
}

/** Temporary files, owners and active snapshots. Lock files are only files: what counts is who holds them, and those are processes. */
function leakedFiles(store: string): readonly string[] {
  const places = ['tmp', 'owners', 'sandbox/active', 'sandbox/tmp', 'sandbox/trash', 'sandbox/runs'];
  const left = places.flatMap((place) => list(join(store, place)).map((name) => `file ${place}/${name}`));
  const drafts = [...list(store), ...list(join(store, 'blobs/sha256'))].filter((name) =>
    /^\.tsbuild-|\.tmp$/.test(name),
  );
  return [...left, ...drafts.map((name) => `file ${name}`)];
}

function list(folder: string): readonly string[] {
  return globSync('{*,.*}', { cwd: folder });
}

function readProc(id: string, file: string): string {
  try {
    return readFileSync(`/proc/${id}/${file}`, 'utf8');
  } catch {
    // It has ended since, or is not ours to look at.
    return '';
  }
}

function readProcLink(id: string, link: string): string {
  try {
    return readlinkSync(`/proc/${id}/${link}`);
  } catch {
    return '';
  }
}
