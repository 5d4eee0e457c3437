import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { isBuildError, isErrno } from '../src/core/error.ts';
import { isExecutable } from './find-program.ts';
import { helperPath } from './helper-path.ts';

/** Set in the environment of a process that has entered a user namespace, so that it does not try again. */
const marker = 'TSBUILD_USER_NAMESPACE';

/** Ids of a user namespace, as `INSIDE OUTSIDE COUNT` triples, and the program that may set them up. */
export interface IdMapping {
  readonly program: string;
  readonly map: string;
}

/** Whether this process lives in a user namespace other than the machine's first one. */
export function insideUserNamespace(): boolean {
  return readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).join(' ') !== '0 0 4294967295';
}

/**
 * Where we are not root: replaces this process by the same command line inside a user namespace of its own, in which it is root and has a
 * private mount namespace. Returns only where nothing needs to be done: as root, and inside. Ids beyond our own come from /etc/subuid and
 * /etc/subgid; without an entry there root is the only user, and steps can have no other.
 * With `if-possible` it also returns where the kernel refuses.
 * @throws KERNEL_FEATURE_MISSING where the helper was not built.
 */
export function enterUserNamespace(need: 'required' | 'if-possible' = 'required'): void {
  if (process.geteuid?.() === 0 || process.env[marker] !== undefined) return;
  if (need === 'if-possible' && !canEnter()) return;
  const mappings = idMappings();
  const maps = mappings?.flatMap(({ program, map }) => [program, map]) ?? ['', '', '', ''];
  const helper = helperPath();
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  execve(helper, [helper, 'userns', ...maps, ...self], { ...process.env, [marker]: '1' });
}

/** Whether a process like us can become root in a namespace: tried with one that then ends. */
function canEnter(): boolean {
  try {
    const trial = spawnSync(helperPath(), ['userns', '', '', '', '', '/bin/true'], { env: {}, stdio: 'ignore' });
    return trial.status === 0;
  } catch (error) {
    if (isBuildError(error, 'KERNEL_FEATURE_MISSING')) return false;
    throw error;
  }
}

/** The mappings of users and of groups beyond our own ids; `undefined` where this machine gives us none. */
export function idMappings(): readonly [users: IdMapping, groups: IdMapping] | undefined {
  const users = idMapping('/etc/subuid', '/usr/bin/newuidmap', process.getuid?.() ?? 0);
  const groups = idMapping('/etc/subgid', '/usr/bin/newgidmap', process.getgid?.() ?? 0);
  return users === undefined || groups === undefined ? undefined : [users, groups];
}

/** Without the warning that process.execve is experimental: a build's standard error is its user's. */
function execve(file: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    process.execve?.(file, args, env);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Our own id as root, and behind it the first range that the file gives us; `undefined` without a range or the program. */
function idMapping(file: string, program: string, own: number): IdMapping | undefined {
  const range = subordinateRange(readLines(file));
  if (range === undefined || !isExecutable(program)) return undefined;
  return { program, map: `0 ${own} 1 1 ${range.start} ${range.count}` };
}

/** The first of the lines `NAME-OR-UID:START:COUNT` that is ours (subuid(5)). */
function subordinateRange(lines: readonly string[]): { readonly start: number; readonly count: number } | undefined {
  const names = [userName(), String(process.getuid?.())];
  for (const line of lines) {
    const [name = '', start, count] = line.split(':');
    if (names.includes(name) && Number(count) > 0) return { start: Number(start), count: Number(count) };
  }
  return undefined;
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch (error) {
    // A uid without an entry in /etc/passwd has no name.
    if (isErrno(error, 'ENOENT', 'ERR_SYSTEM_ERROR')) return undefined;
    throw error;
  }
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return [];
    throw error;
  }
}
