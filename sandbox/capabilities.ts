import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { isErrno } from '../src/core/error.ts';
import { encodeBpf, ret } from './bpf.ts';
import { helperPath } from './helper-path.ts';
import type { HelperCommand } from './helper-program.ts';
import type { HelperFailure } from './helper-record.ts';
import { HelperProcess } from './helper-process.ts';
import { openCgroups } from './open-cgroups.ts';
import { idMappings, insideUserNamespace } from './user-namespace.ts';

/** One thing that this machine offers, or does not. */
export interface Capability {
  /** Stable, for programs: `overlay`, `seccomp` … */
  readonly name: string;
  readonly state: 'available' | 'missing';
  /** What was found, or what the kernel said. */
  readonly detail: string;
  /** What is lost without it. */
  readonly use: string;
}

/** Tries out, by the helper and in namespaces of its own, what steps need of this machine; `directory` takes temporary files. */
export async function probeCapabilities(directory: string): Promise<readonly Capability[]> {
  mkdirSync(directory, { recursive: true });
  const temporary = mkdtempSync(join(directory, 'probe-'));
  try {
    const tried: Capability[] = [];
    for (const { commands, namespaces = 'mount', ...about } of trials(temporary)) {
      const failure = await firstFailure(namespaces, commands);
      tried.push({ ...about, state: failure === undefined ? 'available' : 'missing', detail: describe(failure) });
    }
    return [kernel(), ...tried, cgroups(), ...userNamespaces()];
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

interface Trial {
  readonly name: string;
  readonly use: string;
  readonly namespaces?: string;
  readonly commands: readonly HelperCommand[];
}

function trials(directory: string): readonly Trial[] {
  const [scratch, lower, upper, work] = ['scratch', 'lower', 'upper', 'work'].map((name) => join(directory, name));
  for (const path of [scratch, lower, upper, work]) mkdirSync(path ?? '');
  const start: HelperCommand[] = [['private'], ['scratch', scratch ?? '']];
  const overlay = (xattrs: string): HelperCommand => ['overlay', '0', '', xattrs, upper ?? '', work ?? '', lower ?? ''];
  const allow = encodeBpf([ret(0x7fff0000)]);
  return [
    { name: 'namespaces', use: 'isolation of steps', namespaces: 'mount,pid,uts,ipc', commands: [['unshare-cgroup']] },
    { name: 'network-namespace', use: '--network=none', namespaces: 'net', commands: [['loopback-up']] },
    { name: 'mount-api', use: 'mounting by descriptor, out of reach of links (Linux 5.12)', commands: start },
    {
      name: 'overlay',
      use: 'layers without copying',
      commands: [...start, overlay(insideUserNamespace() ? 'user' : 'trusted')],
    },
    {
      name: 'proc',
      use: 'a /proc that shows only the step',
      namespaces: 'mount,pid',
      commands: [['fs', '0', 'proc', '', 'fail']],
    },
    { name: 'seccomp', use: 'Docker’s filter of system calls', commands: [['seccomp', allow]] },
  ];
}

/** The first command that fails. The program ends with a command that no helper knows, so that failing there is success. */
async function firstFailure(
  namespaces: string,
  commands: readonly HelperCommand[],
): Promise<HelperFailure | undefined> {
  const helper = HelperProcess.start(helperPath(), { keeper: [['spawn', namespaces, '']], prelude: [] });
  const end: HelperCommand = ['end'];
  const { failure } = await helper.run([...commands, end], { output: () => undefined, signal: undefined });
  return failure?.subject === 'end' ? undefined : failure;
}

function describe(failure: HelperFailure | undefined): string {
  if (failure === undefined) return 'tried and works';
  const [, meaning = `errno ${failure.errno}`] = getSystemErrorMap().get(-failure.errno) ?? [];
  return [`${failure.command} ${failure.subject}`.trim(), meaning, failure.detail]
    .filter((text) => text !== '')
    .join(': ');
}

function kernel(): Capability {
  return { name: 'kernel', state: 'available', detail: release(), use: 'Linux 5.12 or newer is needed' };
}

function cgroups(): Capability {
  const { version } = openCgroups(() => undefined);
  const use = 'resource limits, accounting, device rules';
  return version === 'none'
    ? { name: 'cgroups', state: 'missing', detail: 'no group may be made here', use }
    : { name: 'cgroups', state: 'available', detail: version, use };
}

/** What building without root needs; read, not tried, since trying would change this process. */
function userNamespaces(): readonly Capability[] {
  const limit = readNumber('/proc/sys/user/max_user_namespaces');
  const denied = [
    limit === 0 ? 'user.max_user_namespaces is 0' : undefined,
    readNumber('/proc/sys/kernel/unprivileged_userns_clone') === 0
      ? 'kernel.unprivileged_userns_clone is 0'
      : undefined,
    readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === 1
      ? 'kernel.apparmor_restrict_unprivileged_userns is 1'
      : undefined,
  ].filter((reason) => reason !== undefined);
  const mapped = idMappings() !== undefined;
  return [
    {
      name: 'user-namespace',
      state: denied.length === 0 ? 'available' : 'missing',
      detail: denied.length === 0 ? 'nothing forbids it' : denied.join('; '),
      use: 'building without root',
    },
    {
      name: 'id-mapping',
      state: mapped ? 'available' : 'missing',
      detail: mapped
        ? '/etc/subuid, /etc/subgid, newuidmap and newgidmap'
        : 'no range of ours in /etc/subuid and /etc/subgid, or no newuidmap',
      use: 'other users than root in steps when building without root',
    },
  ];
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return undefined;
    throw error;
  }
}
