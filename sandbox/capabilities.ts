import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { isErrno } from '../src/core/error.ts';
import { encodeBpf, ret } from './bpf.ts';
import { overlayXattrs } from './extended-attributes.ts';
import { helperPath } from './helper-path.ts';
import type { HelperCommand } from './helper-program.ts';
import type { HelperFailure } from './helper-record.ts';
import { HelperProcess } from './helper-process.ts';
import { makeDirectory } from './make-directory.ts';
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
  /** Whether images can be built without it. */
  readonly need: 'required' | 'optional';
  /** How to get what is missing. */
  readonly remedy?: string;
}

/** Tries out, by the helper and in namespaces of its own, what steps need of this machine; `directory` takes temporary files. */
export async function probeCapabilities(directory: string): Promise<readonly Capability[]> {
  makeDirectory(directory);
  const temporary = mkdtempSync(join(directory, 'probe-'));
  try {
    const tried: Capability[] = [];
    for (const { commands, namespaces = 'mount', remedy, ...about } of trials(temporary)) {
      const failure = await firstFailure(namespaces, commands);
      const detail = describe(failure);
      tried.push({ ...about, detail, ...(failure === undefined ? available : { state: 'missing', remedy }) });
    }
    return [kernel(), ...tried, cgroups(), ...userNamespaces()];
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

const available = { state: 'available' } as const;

interface Trial extends Required<Pick<Capability, 'name' | 'use' | 'need' | 'remedy'>> {
  readonly namespaces?: string;
  readonly commands: readonly HelperCommand[];
}

/** Paths for the trials, made in `directory`. */
function trialDirectories(directory: string): { scratch: string; lower: string; upper: string; work: string } {
  const paths = {
    scratch: join(directory, 'scratch'),
    lower: join(directory, 'lower'),
    upper: join(directory, 'upper'),
    work: join(directory, 'work'),
  };
  for (const path of Object.values(paths)) mkdirSync(path);
  return paths;
}

const container = 'in a container: start it with --privileged, or with seccomp and AppArmor unconfined';

function trials(directory: string): readonly Trial[] {
  return [...isolationTrials(), ...fileSystemTrials(trialDirectories(directory))];
}

function isolationTrials(): readonly Trial[] {
  const allow = encodeBpf([ret(0x7fff0000)]);
  return [
    {
      name: 'namespaces',
      use: 'isolation of steps',
      need: 'required',
      remedy: container,
      namespaces: 'mount,pid,uts,ipc',
      commands: [['unshare-cgroup']],
    },
    {
      name: 'network-namespace',
      use: '--network=none',
      need: 'optional',
      remedy: container,
      namespaces: 'net',
      commands: [['loopback-up']],
    },
    {
      name: 'seccomp',
      use: 'Docker’s filter of system calls',
      need: 'required',
      remedy: 'a kernel with CONFIG_SECCOMP_FILTER',
      commands: [['seccomp', allow]],
    },
  ];
}

function fileSystemTrials({ scratch, lower, upper, work }: ReturnType<typeof trialDirectories>): readonly Trial[] {
  const start: HelperCommand[] = [['private'], ['scratch', scratch]];
  const xattrs = overlayXattrs();
  return [
    {
      name: 'mount-api',
      use: 'mounting by descriptor, out of reach of links',
      need: 'required',
      remedy: `a kernel from 5.12 on; ${container}`,
      commands: start,
    },
    {
      name: 'overlay',
      use: 'layers without copying',
      need: 'optional',
      remedy: 'modprobe overlay; a store on ext4, xfs or btrfs rather than on another overlay',
      commands: [...start, ['overlay', '0', '', xattrs, upper, work, lower]],
    },
    {
      name: 'proc',
      use: 'a /proc that shows only the step',
      need: 'optional',
      remedy: 'in a container: leave its /proc unmasked (docker run --security-opt systempaths=unconfined)',
      namespaces: 'mount,pid',
      commands: [['fs', '0', 'proc', '', 'fail']],
    },
  ];
}

/** The first command that fails. The program ends with a command that no helper knows, so that failing there is success. */
async function firstFailure(
  namespaces: string,
  commands: readonly HelperCommand[],
): Promise<HelperFailure | undefined> {
  await using helper = HelperProcess.start(helperPath(), { keeper: [['spawn', namespaces, '']], prelude: [] });
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
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const about = { name: 'kernel', detail: release(), use: 'everything', need: 'required' } as const;
  if (major > 5 || (major === 5 && minor >= 12)) return { ...about, ...available };
  return { ...about, state: 'missing', remedy: 'Linux 5.12 or newer' };
}

function cgroups(): Capability {
  using opened = openCgroups(() => undefined);
  const { version } = opened;
  const about = { name: 'cgroups', use: 'resource limits, accounting, device rules', need: 'optional' } as const;
  if (version !== 'none') return { ...about, ...available, detail: version };
  const remedy = 'root, or a delegated group: systemd-run --user --scope -p Delegate=yes tsbuild …';
  return { ...about, state: 'missing', detail: 'no group may be made here', remedy };
}

const sysctls = [
  { path: 'user/max_user_namespaces', bad: 0, good: 15_000 },
  { path: 'kernel/unprivileged_userns_clone', bad: 0, good: 1 },
  { path: 'kernel/apparmor_restrict_unprivileged_userns', bad: 1, good: 0 },
] as const;

/** What building without root needs; read, not tried, since trying would change this process. */
export function userNamespaces(): readonly Capability[] {
  const denied = sysctls.filter(({ path, bad }) => readNumber(`/proc/sys/${path}`) === bad);
  const about = {
    name: 'user-namespace',
    use: 'building without root; isolation of root’s steps',
    need: 'optional',
  } as const;
  return [
    denied.length === 0
      ? { ...about, ...available, detail: 'nothing forbids it' }
      : {
          ...about,
          state: 'missing',
          detail: denied.map(({ path, bad }) => `${sysctlName(path)} is ${bad}`).join('; '),
          remedy: denied.map(({ path, good }) => `sysctl -w ${sysctlName(path)}=${good}`).join('; '),
        },
    // Root maps no ids.
    ...(process.geteuid?.() === 0 && !insideUserNamespace() ? [] : [idMapping()]),
  ];
}

function sysctlName(path: string): string {
  return path.replace('/', '.');
}

function idMapping(): Capability {
  const use = 'other users than root in steps when building without root';
  const about = { name: 'id-mapping', use, need: 'optional' } as const;
  const own = '/etc/subuid, /etc/subgid, newuidmap and newgidmap';
  if (insideUserNamespace()) {
    const lines = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
    if (lines.length > 1) return { ...about, ...available, detail: own };
  } else if (idMappings() !== undefined) return { ...about, ...available, detail: own };
  return {
    ...about,
    state: 'missing',
    detail: 'no range of ours in /etc/subuid and /etc/subgid, or no newuidmap',
    remedy: 'apt-get install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER',
  };
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return undefined;
    throw error;
  }
}
