import type { RuntimeMount, RuntimeSpec } from '../src/core/executor.ts';
import type { RootMount } from '../src/core/snapshot.ts';
import { invariant } from '../src/core/error.ts';
import { capabilityMask } from './capability-sets.ts';
import type { CgroupPlan } from './cgroup.ts';
import type { HelperCommand, HelperProgram } from './helper-program.ts';
import type { NetworkPlan } from './network.ts';
import { rlimitNumber, rlimitValue } from './rlimits.ts';
import { deviceLinks, deviceNodes, maskedPaths, readOnlyPaths } from './rootfs.ts';

/** What this machine contributes to a step, beside the spec. */
export interface StepPlan {
  /** An empty directory of the host; the step's mount namespace starts on it. */
  readonly scratch: string;
  readonly cgroup: CgroupPlan;
  readonly network: NetworkPlan;
  readonly files: { readonly hosts: string; readonly resolvConf: string };
  /** The BPF program, absent without confinement. */
  readonly seccomp: Uint8Array | undefined;
  /** In a user namespace some file systems cannot be mounted, and not every group exists. */
  readonly userNamespace: 'initial' | 'nested';
}

/** A mount that is made detached on the host's side, and attached once the step's root is the root. */
interface PreparedMount {
  readonly make: readonly HelperCommand[];
  readonly attach: readonly HelperCommand[];
}

/** The program that runs `spec` on this machine: plain data, without any effect. */
export function toStepProgram(spec: RuntimeSpec, plan: StepPlan): HelperProgram {
  const slots = new SlotCounter();
  const root = slots.next();
  const mounts = [
    ...systemMounts(spec, plan, slots),
    { make: [], attach: confinement(spec) },
    ...nameFiles(plan, slots),
    ...spec.mounts.map((mount) => userMount(mount, deviceFlag(spec, plan), slots)),
  ];
  const namespaces = ['mount', 'pid', 'uts', 'ipc', ...(plan.network.namespace === 'own' ? ['net'] : [])].join(',');
  return {
    keeper: [...plan.cgroup.before, ['spawn', namespaces, plan.cgroup.into ?? ''], ...plan.cgroup.after],
    step: [
      ...plan.cgroup.join.map((path): HelperCommand => ['join', path]),
      ['unshare-cgroup'],
      ...plan.network.commands,
      ['private'],
      ['scratch', plan.scratch],
      rootMount(root, spec.root, deviceFlag(spec, plan)),
      ...mounts.flatMap(({ make }) => make),
      ['root', root],
      ...mounts.flatMap(({ attach }) => attach),
      ...becomeProcess(spec, plan),
    ],
  };
}

class SlotCounter {
  #last = -1;

  next(): string {
    this.#last += 1;
    return String(this.#last);
  }
}

/** A device node that the step or its image made opens only where a device cgroup keeps the dangerous ones shut. */
function deviceFlag(spec: RuntimeSpec, plan: StepPlan): 'nodev' | '' {
  return plan.cgroup.devices === 'filtered' || spec.confinement === 'unconfined' ? '' : 'nodev';
}

/** Makes a root ready in a slot. */
export function rootMount(slot: string, root: RootMount, attributes: string): HelperCommand {
  if (root.type === 'bind') {
    return ['bind', slot, root.access === 'read-only' ? `ro,${attributes}` : attributes, root.source, ''];
  }
  return ['overlay', slot, attributes, root.xattrs, root.upper ?? '', root.work ?? '', ...root.lower];
}

function fileSystem(slot: string, type: string, o: { attributes: string; fallback: string; options: readonly string[] }): HelperCommand {
  return ['fs', slot, type, o.attributes, o.fallback, ...o.options];
}

/** /proc, /dev with what belongs in it, /sys and the step's own cgroup. */
function systemMounts(spec: RuntimeSpec, plan: StepPlan, slots: SlotCounter): PreparedMount[] {
  const readOnly = spec.confinement === 'default' ? 'ro,' : '';
  const mount = (destination: string, type: string, o: { attributes: string; fallback: string; options: readonly string[] }): PreparedMount => {
    const slot = slots.next();
    return { make: [fileSystem(slot, type, o)], attach: [['attach', slot, destination, 'real-directory']] };
  };
  const nothing = 'nosuid,nodev,noexec';
  // Group 5 is tty on all distributions; it may not exist in a user namespace.
  const ptsOptions = ['newinstance', 'ptmxmode=0666', 'mode=0620', ...(plan.userNamespace === 'initial' ? ['gid=5'] : [])];
  return [
    mount('/proc', 'proc', { attributes: nothing, fallback: '/proc', options: [] }),
    mount('/dev', 'tmpfs', { attributes: `nosuid,${deviceFlag(spec, plan)}`, fallback: 'fail', options: ['mode=0755', 'size=65536k'] }),
    {
      make: [],
      attach: [
        ...['pts', 'mqueue', 'shm'].map((name): HelperCommand => ['directory', `/dev/${name}`, '755']),
        ...deviceLinks.map(({ name, target }): HelperCommand => ['link', `/dev/${name}`, target]),
      ],
    },
    mount('/dev/pts', 'devpts', { attributes: 'nosuid,noexec', fallback: 'none', options: ptsOptions }),
    mount('/dev/mqueue', 'mqueue', { attributes: nothing, fallback: 'none', options: [] }),
    mount('/dev/shm', 'tmpfs', { attributes: nothing, fallback: 'fail', options: ['mode=1777', `size=${spec.shmSizeBytes}`] }),
    ...deviceNodes.map(({ name, major, minor }): PreparedMount => {
      const slot = slots.next();
      return { make: [['device', slot, name, '666', String(major), String(minor)]], attach: [['placeholder', `/dev/${name}`], ['attach', slot, `/dev/${name}`, 'file']] };
    }),
    mount('/sys', 'sysfs', { attributes: `${readOnly}${nothing}`, fallback: '/sys', options: [] }),
    ...cgroupMounts(plan.cgroup, `${readOnly}${nothing}`, slots),
  ];
}

function cgroupMounts(cgroup: CgroupPlan, attributes: string, slots: SlotCounter): PreparedMount[] {
  const { view } = cgroup;
  if (view.type === 'none') return [];
  const top = slots.next();
  const attach = (slot: string, path: string): HelperCommand => ['attach', slot, path, 'real-directory'];
  if (view.type === 'v2') {
    const make = fileSystem(top, 'cgroup2', { attributes, fallback: 'none', options: [] });
    return [{ make: [make], attach: [attach(top, '/sys/fs/cgroup')] }];
  }
  const groups = view.controllers.map(({ name, path }) => ({ name, path, slot: slots.next() }));
  return [
    {
      make: [
        fileSystem(top, 'tmpfs', { attributes: 'nosuid,nodev,noexec', fallback: 'fail', options: ['mode=0755', 'size=64k'] }),
        ...groups.map(({ slot, path }): HelperCommand => ['bind', slot, attributes, path, '']),
      ],
      attach: [
        attach(top, '/sys/fs/cgroup'),
        ...groups.flatMap(({ slot, name }): HelperCommand[] => [
          ['directory', `/sys/fs/cgroup/${name}`, '755'],
          attach(slot, `/sys/fs/cgroup/${name}`),
        ]),
        ['protect', top],
      ],
    },
  ];
}

/** Before anything that others may change is mounted (CVE-2025-31133, CVE-2025-52881). */
function confinement(spec: RuntimeSpec): HelperCommand[] {
  if (spec.confinement === 'unconfined') return [];
  return [
    ...readOnlyPaths.map((path): HelperCommand => ['read-only', path]),
    ...maskedPaths.map((path): HelperCommand => ['mask', path, '/dev/null']),
  ];
}

/** /etc/hosts and /etc/resolv.conf, in memory and read-only. */
function nameFiles(plan: StepPlan, slots: SlotCounter): PreparedMount[] {
  const file = (destination: string, text: string): PreparedMount => {
    const slot = slots.next();
    return {
      make: [['file', slot, 'ro,nosuid,nodev,noexec', '644', '0', '0', text]],
      attach: [['attach', slot, destination, 'file']],
    };
  };
  return [file('/etc/hosts', plan.files.hosts), file('/etc/resolv.conf', plan.files.resolvConf)];
}

function userMount(mount: RuntimeMount, devices: string, slots: SlotCounter): PreparedMount {
  const slot = slots.next();
  const attach = (...kinds: readonly string[]): HelperCommand[] => [['attach', slot, mount.destination, ...kinds]];
  switch (mount.type) {
    case 'snapshot': {
      const tree = slots.next();
      const attributes = mount.access === 'read-only' ? `ro,${devices}` : devices;
      return { make: [rootMount(tree, mount.root, ''), ['part', slot, attributes, tree, mount.path]], attach: attach('like') };
    }
    case 'bind': {
      const attributes = mount.access === 'read-only' ? `ro,${devices}` : devices;
      return { make: [['bind', slot, attributes, mount.source, mount.path]], attach: attach('like') };
    }
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
      const options = [`mode=${mount.mode.toString(8)}`, ...size];
      return {
        make: [fileSystem(slot, 'tmpfs', { attributes: 'nosuid,nodev', fallback: 'fail', options })],
        attach: attach('directory'),
      };
    }
    case 'file': {
      const owner = [mount.mode.toString(8), String(mount.uid), String(mount.gid)];
      return { make: [['file', slot, 'ro,nosuid,nodev', ...owner, mount.data]], attach: attach('file') };
    }
    case 'socket':
      invariant(false, 'a socket mount reached the program; the executor puts a proxy in its place');
  }
}

/** From root with everything to what the spec allows; seccomp comes late, so that what precedes need not be allowed by it. */
function becomeProcess(spec: RuntimeSpec, plan: StepPlan): HelperCommand[] {
  const { process } = spec;
  const mask = capabilityMask(process.capabilities).toString(16);
  const { uid, gid, additionalGids } = process.user;
  const limits = process.rlimits.flatMap(({ type, soft, hard }): HelperCommand[] => {
    const number = rlimitNumber(type);
    return number === undefined ? [] : [['limit', String(number), rlimitValue(soft), rlimitValue(hard)]];
  });
  return [
    ['ready'],
    ['hostname', spec.hostname],
    ['cwd', process.cwd],
    ...limits,
    ['umask', process.umask.toString(8)],
    ['bounding', mask],
    ['user', String(uid), String(gid), ...additionalGids.map(String)],
    ...(plan.seccomp === undefined ? [] : [['seccomp', plan.seccomp] satisfies HelperCommand]),
    ['capabilities', mask],
    ['exec', String(process.args.length), ...process.args, ...process.env],
  ];
}
