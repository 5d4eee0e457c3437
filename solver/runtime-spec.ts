import type { StepDevices } from '../src/core/devices.ts';
import type { ExecOp } from '../src/core/graph.ts';
import type { ResolvedUser } from '../src/core/file-backend.ts';
import type { RuntimeMount, RuntimeSpec } from '../src/core/executor.ts';
import type { RootMount } from '../src/core/snapshot.ts';

/** What only becomes known when a step is about to run. */
export interface StepSurroundings {
  readonly root: RootMount;
  readonly user: ResolvedUser;
  readonly mounts: readonly RuntimeMount[];
  /** `NAME=value` of secrets and agents, added last. */
  readonly env: readonly string[];
  readonly devices: StepDevices;
}

/** What a container may do in Docker: 14 capabilities (moby daemon/pkg/oci/caps). */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
] as const;

const SHM_BYTES = 64 * 1024 * 1024;

/** The whole sandbox of a RUN step as data. */
export function toRuntimeSpec(op: ExecOp, around: StepSurroundings): RuntimeSpec {
  const isConfined = op.security === 'sandbox';
  const { user, devices } = around;
  return {
    process: {
      args: op.args,
      env: withHome([...withVariables(op.env, devices.env), ...op.proxyEnv, ...around.env], user.home),
      cwd: op.cwd,
      user: { ...user, additionalGids: [...new Set([...user.additionalGids, ...devices.gids])] },
      umask: 0o022,
      capabilities: isConfined ? defaultCapabilities : 'all',
      rlimits: op.ulimits.map(({ name, soft, hard }) => ({ type: `RLIMIT_${name.toUpperCase()}`, soft, hard })),
    },
    root: around.root,
    hostname: op.hostname,
    mounts: [...around.mounts, ...devices.mounts],
    extraHosts: op.extraHosts,
    network: op.network,
    confinement: isConfined ? 'default' : 'unconfined',
    shmSizeBytes: op.shmSizeBytes ?? SHM_BYTES,
    resources: op.resources,
    ...(op.cgroupParent === undefined ? {} : { cgroupParent: op.cgroupParent }),
  };
}

/** A device's variable takes the place of the image's. */
function withVariables(env: readonly string[], added: readonly string[]): readonly string[] {
  if (added.length === 0) return env;
  const values = new Map([...env, ...added].map((entry) => [entry.slice(0, entry.indexOf('=')), entry]));
  return [...values.values()];
}

/** The runtime gives a process its user's home where the image does not say otherwise. */
function withHome(env: readonly string[], home: string): readonly string[] {
  return env.some((entry) => entry.startsWith('HOME=')) ? env : [...env, `HOME=${home}`];
}
