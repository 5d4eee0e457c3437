import type { RuntimeSpec } from '../src/core/executor.ts';
import { capabilityMask, expandCapabilities } from './capability-sets.ts';
import { accessLetters, grantedDevices, type GrantedDevice } from './device-filter.ts';
import { ownDev } from './own-dev.ts';
import { rlimitType } from './rlimits.ts';
import { maskedPaths, readOnlyPaths } from './rootfs.ts';
import type { OciMount, RuntimeNeeds } from './runtime-needs.ts';
import { defaultErrno, type ArgumentTest } from './seccomp-profile.ts';
import { seccompRules } from './seccomp.ts';

/** The cgroup that a runtime makes. */
export interface BundleCgroup {
  /** Absent where the runtime may choose. */
  readonly path: string | undefined;
  /** Processes and threads that a step may have where its spec says nothing; absent where it has no cgroup. */
  readonly pids: number | undefined;
}

/** What a bundle says beyond the spec: where things are on this machine. */
export interface BundlePlan {
  readonly rootfs: string;
  /** The spec's mounts and those of /etc, in order, with paths for sources. */
  readonly mounts: readonly OciMount[];
  readonly network: 'own' | 'host';
  /** In a user namespace a sysfs cannot be mounted for a network that belongs to another one: the host's is shown instead. */
  readonly userNamespace: 'initial' | 'nested';
  /** What the runtime is to do about the step's group; `nothing` where the helper has made it. */
  readonly cgroup: BundleCgroup | 'nothing';
  readonly sync: 'suppress' | 'real';
  readonly needs: RuntimeNeeds;
  /** What we have ourselves, as a bit mask: a runtime refuses to give more. */
  readonly capabilities: bigint;
}

/** The config.json (OCI runtime-spec 1.0) by which a runtime runs `spec`. */
export function ociConfig(spec: RuntimeSpec, plan: BundlePlan): object {
  const confined = spec.confinement === 'default';
  return {
    ociVersion: '1.0.2',
    process: ociProcess(spec, plan),
    root: { path: plan.rootfs, readonly: false },
    hostname: spec.hostname,
    mounts: [...systemMounts(spec, plan), ...plan.needs.mounts, ...plan.mounts],
    linux: {
      // The helper has entered the network and the time namespace already: not every runtime knows the latter.
      namespaces: [
        ...['pid', 'mount', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })),
        ...(plan.needs.networkPath === undefined ? [] : [{ type: 'network', path: plan.needs.networkPath }]),
      ],
      ...ociCgroup(spec, plan.cgroup),
      ...(confined ? { maskedPaths, readonlyPaths: readOnlyPaths } : {}),
      ...(confined && plan.needs.filter === 'fits' ? { seccomp: ociSeccomp(spec, plan.sync) } : {}),
    },
  };
}

function ociProcess({ process }: RuntimeSpec, { capabilities: ours, needs }: BundlePlan): object {
  const capabilities = expandCapabilities(process.capabilities).filter(
    (name) => (capabilityMask([name]) & ours) !== 0n && !needs.unknownCapabilities.includes(name),
  );
  const { uid, gid, additionalGids } = process.user;
  return {
    terminal: false,
    // In the kernel's order, which gVisor does not see to.
    user: { uid, gid, additionalGids: additionalGids.toSorted((a, b) => a - b), umask: process.umask },
    args: process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: [],
      ambient: [],
    },
    rlimits: process.rlimits.map(({ type, soft, hard }) => ({
      type: rlimitType(type),
      soft: soft < 0 ? Number.MAX_SAFE_INTEGER : soft,
      hard: hard < 0 ? Number.MAX_SAFE_INTEGER : hard,
    })),
    noNewPrivileges: false,
  };
}

function systemMounts(spec: RuntimeSpec, { userNamespace, network }: BundlePlan): OciMount[] {
  const nothing = ['nosuid', 'noexec', 'nodev'];
  // As for our own steps: the group may not be there.
  const terminals = userNamespace === 'initial' ? ['gid=5'] : [];
  const access = spec.confinement === 'default' ? 'ro' : 'rw';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: nothing },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', ...ownDev(spec.mounts).options] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...terminals],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...nothing, 'mode=1777', `size=${spec.shmSizeBytes}`],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: nothing },
    userNamespace === 'nested' && network === 'host'
      ? { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...nothing, access] }
      : { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...nothing, access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...nothing, 'relatime', access] },
  ];
}

function ociCgroup(spec: RuntimeSpec, cgroup: BundlePlan['cgroup']): object {
  if (cgroup === 'nothing') return {};
  return {
    ...(cgroup.path === undefined ? {} : { cgroupsPath: cgroup.path }),
    resources: ociResources(spec, cgroup.pids),
  };
}

function ociResources({ resources, confinement, mounts }: RuntimeSpec, defaultPids: number | undefined): object {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuPeriodUs, cpuQuotaUs, cpusetCpus, cpusetMems } = resources;
  const pids = resources.pids ?? defaultPids;
  return {
    devices: [{ allow: confinement === 'unconfined', access: 'rwm' }, ...grantedDevices(mounts).map(ociDevice)],
    memory: { limit: memoryBytes, swap: memorySwapBytes },
    cpu: { shares: cpuShares, period: cpuPeriodUs, quota: cpuQuotaUs, cpus: cpusetCpus, mems: cpusetMems },
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  };
}

function ociDevice(device: GrantedDevice): object {
  const { kind, major, minor } = device;
  return { allow: true, type: kind === 'block' ? 'b' : 'c', major, minor, access: accessLetters(device) };
}

const architectures: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** libseccomp knows no order of rules: a call that one rule answers is left out of those after it, and tested rules for sync are left out. */
function ociSeccomp({ confinement, process: { capabilities } }: RuntimeSpec, sync: 'suppress' | 'real'): object {
  const rules = seccompRules({ confinement, capabilities, sync }).filter(
    ({ action, test }) => action === 'allow' || test === undefined,
  );
  const answered = new Set<string>();
  const syscalls = rules.flatMap(({ names, action, test }) => {
    const left = names.filter((name) => !answered.has(name));
    if (test === undefined) for (const name of names) answered.add(name);
    const outcome =
      action === 'allow' ? { action: 'SCMP_ACT_ALLOW' } : { action: 'SCMP_ACT_ERRNO', errnoRet: action.errno };
    if (left.length === 0) return [];
    return test === undefined
      ? [{ names: left, ...outcome }]
      : ociTests(test).map((args) => ({ names: left, ...outcome, args: [args] }));
  });
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: defaultErrno,
    architectures: architectures[process.arch] ?? [],
    syscalls,
  };
}

function ociTests(test: ArgumentTest): object[] {
  const index = test.argument;
  if (!('mask' in test)) return test.oneOf.map((value) => ({ index, value, op: 'SCMP_CMP_EQ' }));
  const values = 'oneOf' in test ? test.oneOf : [test.is === 'zero' ? 0 : test.mask];
  return values.map((valueTwo) => ({ index, value: test.mask, valueTwo, op: 'SCMP_CMP_MASKED_EQ' }));
}
