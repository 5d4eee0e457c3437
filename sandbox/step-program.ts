import type { RuntimeMount, RuntimeSpec } from '../src/core/executor.ts';
import { capabilityMask } from './capability-sets.ts';
import type { CgroupPlan } from './cgroup.ts';
import type { HelperCommand, HelperProgram } from './helper-program.ts';
import {
  mountSource,
  nameFileMounts,
  rootSource,
  SlotCounter,
  textMount,
  type DeviceAttribute,
} from './mount-source.ts';
import type { ReplacedFile } from './limited-view.ts';
import type { NetworkPlan } from './network.ts';
import { ownDev } from './own-dev.ts';
import { noCoreDumps, rlimitNumber, rlimitValue } from './rlimits.ts';
import { maskedPaths, readOnlyPaths } from './rootfs.ts';
import { stepNamespaces, toStepStart } from './step-starts.ts';
import { deviceNodes, stepUsers } from './step-users.ts';
import { systemMounts, type PreparedMount } from './system-mounts.ts';

/** What this machine contributes to a step, beside the spec. */
export interface StepPlan {
  /** An empty directory of the host; the step's mount namespace starts on it. */
  readonly scratch: string;
  readonly cgroup: CgroupPlan;
  readonly network: NetworkPlan;
  readonly files: { readonly hosts: string; readonly resolvConf: string };
  /** Files of /proc and /sys that follow the step's limits. */
  readonly view: readonly ReplacedFile[];
  /** The BPF program, absent without confinement. */
  readonly seccomp: Uint8Array | undefined;
  /** In a user namespace some file systems cannot be mounted, and not every group exists. */
  readonly userNamespace: 'initial' | 'nested';
}

/** The program that runs `spec` on this machine: plain data, without any effect. */
export function toStepProgram(spec: RuntimeSpec, plan: StepPlan): HelperProgram {
  const slots = new SlotCounter();
  const root = slots.next();
  const devices = deviceAttribute(spec, plan);
  const dev = ownDev(spec.mounts);
  const mounts = [
    ...systemMounts({ ...spec, ...plan, devices, devOptions: dev.options }, slots),
    { make: [], attach: confinement(spec) },
    ...plan.view.map((file) => replacement(file, slots)),
    ...[...nameFileMounts(plan.files), ...dev.mounts].map((mount) => specMount(mount, devices, slots)),
  ];
  return {
    ...toStepStart(plan.cgroup, stepNamespaces),
    step: [
      ...plan.network.join,
      ...plan.cgroup.limits(spec.resources),
      ['unshare-cgroup'],
      ['private'],
      ['scratch', plan.scratch],
      rootSource(root, spec.root, devices),
      ...mounts.flatMap(({ make }) => make),
      ['root', root],
      workingDirectory(spec),
      ...mounts.flatMap(({ attach }) => attach),
      ...becomeProcess(spec, plan),
    ],
  };
}

/** Makes the working directory where it is missing: a base image may name one that it does not have. It belongs to the user, and stays. */
export function workingDirectory({ process }: RuntimeSpec): HelperCommand {
  return ['working-directory', process.cwd, String(process.user.uid), String(process.user.gid)];
}

/** A device node that the step or its image made opens only where a device filter keeps the dangerous ones shut. */
function deviceAttribute(spec: RuntimeSpec, plan: StepPlan): DeviceAttribute {
  if (plan.cgroup.devices === 'filtered' || spec.confinement === 'unconfined') return '';
  return plan.cgroup.devices === 'attempted' ? 'nodev-unless-filtered' : 'nodev';
}

/** Before anything that others may change is mounted (CVE-2025-31133, CVE-2025-52881). */
function confinement(spec: RuntimeSpec): HelperCommand[] {
  if (spec.confinement === 'unconfined') return [];
  return [
    ...readOnlyPaths.map((path): HelperCommand => ['read-only', path]),
    ...maskedPaths.map((path): HelperCommand => ['mask', path, '/dev/null']),
  ];
}

function replacement({ path, text }: ReplacedFile, slots: SlotCounter): PreparedMount {
  const { slot, make } = mountSource(textMount(path, text, 0o444), '', slots);
  return { make, attach: [['replace', slot, path]] };
}

function specMount(mount: RuntimeMount, devices: DeviceAttribute, slots: SlotCounter): PreparedMount {
  const { slot, make, kind } = mountSource(mount, devices, slots);
  return { make, attach: [['attach', slot, mount.destination, kind]] };
}

/**
 * From root with everything to what the spec allows. The user namespace comes late, because mounts, devices and limits want the host's root;
 * so does seccomp, so that what precedes need not be allowed by it.
 */
function becomeProcess(spec: RuntimeSpec, plan: StepPlan): HelperCommand[] {
  const { process } = spec;
  const mask = capabilityMask(process.capabilities).toString(16);
  const { uid, gid, additionalGids } = process.user;
  const asking = deviceNodes(spec, plan.network.users) === 'ask' ? ['asking'] : [];
  const limits = process.rlimits.flatMap(({ type, soft, hard }): HelperCommand[] => {
    const number = rlimitNumber(type);
    return number === undefined ? [] : [['limit', String(number), rlimitValue(soft), rlimitValue(hard)]];
  });
  return [
    ['ready'],
    ['hostname', spec.hostname],
    ['cwd', process.cwd],
    noCoreDumps,
    ...limits,
    ['umask', process.umask.toString(8)],
    ...(spec.confinement === 'default' && plan.network.namespace === 'host'
      ? [['scope-sockets'] satisfies HelperCommand]
      : []),
    ...(stepUsers(spec, plan.network.users) === 'own' ? [['join-users'] satisfies HelperCommand] : []),
    ['bounding', mask],
    ['user', String(uid), String(gid), ...additionalGids.map(String)],
    ...(plan.seccomp === undefined ? [] : [['seccomp', plan.seccomp, ...asking] satisfies HelperCommand]),
    ['capabilities', mask],
    ['exec', String(process.args.length), ...process.args, ...process.env],
  ];
}
