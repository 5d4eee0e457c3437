import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { BuildError, isErrno, messageOf } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import { findProgram, isExecutable } from './find-program.ts';
import { gvisorFlags, gvisorNeeds } from './gvisor.ts';
import type { NetworkPlan } from './network.ts';
import type { RuntimeNeeds } from './runtime-needs.ts';

/** A program with the command line of runc, and what is special about it. */
export interface OciRuntime {
  /** Absolute. */
  readonly path: string;
  /** Words ahead of `run`. */
  readonly flags: readonly string[];
  /** Words behind it. */
  readonly runFlags: readonly string[];
  /**
   * Who makes a step's cgroup. `helper`: the runtime starts in a group of ours, which can be read when it has ended. `runtime`: it is told where to
   * make one.
   */
  readonly cgroup: 'helper' | 'runtime';
  /** `own`: a step's programs run on a kernel that the runtime is itself. */
  readonly kernel: 'host' | 'own';
  /** What one step asks for beyond all that. @throws SANDBOX_FAILED for what the runtime cannot give it */
  readonly needs: (spec: RuntimeSpec, network: NetworkPlan) => RuntimeNeeds;
}

/**
 * The runtime of that name in PATH, or at that path. What it needs follows from what it says about itself, not from its name: it may be a
 * script that adds flags.
 * @throws KERNEL_FEATURE_MISSING
 */
export async function openRuntime(name: string): Promise<OciRuntime> {
  const path = findRuntime(name);
  const common = { path, flags: [], runFlags: [], kernel: 'host', needs: () => nothing } as const;
  const version = await answer(path, '--version');
  if (version.startsWith('runsc ')) {
    const flags = gvisorFlags(await answer(path, 'flags'));
    return { ...common, flags, cgroup: 'helper', kernel: 'own', needs: gvisorNeeds };
  }
  if (version.startsWith('crun '))
    return { ...common, flags: ['--cgroup-manager=disabled'], cgroup: 'helper', needs: () => crunNeeds() };
  // Without it the group and its counters are gone with the container.
  const keeps = (await answer(path, 'run', '--help')).includes('--keep');
  return { ...common, runFlags: keeps ? ['--keep'] : [], cgroup: 'runtime' };
}

const nothing: RuntimeNeeds = { flags: [], mounts: [], hidden: [], unknownCapabilities: [], filter: 'fits' };

/** Where crun finds version 2 beside version 1, and then refuses to run even if it is to leave cgroups alone. */
const hybridCgroups = '/sys/fs/cgroup/unified';

function crunNeeds(): RuntimeNeeds {
  return existsSync(hybridCgroups) ? { ...nothing, hidden: [hybridCgroups] } : nothing;
}

function findRuntime(name: string): string {
  const isPath = name.includes('/');
  const found = isPath ? resolve(name) : findProgram(name);
  if (found !== undefined && isExecutable(found)) return found;
  throw runtimeMissing(name, isPath ? 'it is no program' : 'it is not in PATH');
}

/** Where a runtime, or the script that stands for it, finds its programs. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What it prints on either stream; one that does not know the question is asked for nothing special. */
async function answer(runtime: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(runtime, args, { env: { PATH: systemPath } });
    return `${stdout}${stderr}`;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENOEXEC', 'ELOOP')) throw runtimeMissing(runtime, messageOf(error));
    return '';
  }
}

function runtimeMissing(name: string, reason: string): BuildError {
  const remedy = 'install it, give its path, or leave out --runtime';
  return new BuildError('KERNEL_FEATURE_MISSING', { feature: `the OCI runtime ${name}`, reason, remedy });
}
