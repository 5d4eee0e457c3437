import type { RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupPlan } from './cgroup.ts';
import type { HelperCommand } from './helper-program.ts';
import { deviceNode, type DeviceAttribute, type SlotCounter } from './mount-source.ts';
import { deviceLinks, deviceNodes } from './rootfs.ts';

/** A mount that is made detached on the host's side, and attached once the step's root is the root. */
export interface PreparedMount {
  readonly make: readonly HelperCommand[];
  readonly attach: readonly HelperCommand[];
}

/** What the kernel's file systems of a step depend on. */
export interface SystemMountOptions {
  readonly confinement: RuntimeSpec['confinement'];
  readonly shmSizeBytes: number;
  readonly cgroup: CgroupPlan;
  /** In a user namespace some file systems cannot be mounted, and not every group exists. */
  readonly userNamespace: 'initial' | 'nested';
  readonly devices: DeviceAttribute;
  /** Of the tmpfs at /dev. */
  readonly devOptions: readonly string[];
}

/** A file system that the kernel makes anew. `fallback`: a directory of the host to show where it will not, `none` or `fail`. */
interface FileSystem {
  readonly path: string;
  readonly type: string;
  readonly attributes: string;
  readonly fallback: string;
  readonly options?: readonly string[];
}

const inert = 'nosuid,nodev,noexec';

/** /proc, /dev with what belongs in it, /sys and the step's own cgroup. */
export function systemMounts(o: SystemMountOptions, slots: SlotCounter): PreparedMount[] {
  const sysAttributes = o.confinement === 'default' ? `ro,${inert}` : inert;
  return [
    newFileSystem({ path: '/proc', type: 'proc', attributes: inert, fallback: '/proc' }, slots),
    ...devMounts(o, slots),
    newFileSystem({ path: '/sys', type: 'sysfs', attributes: sysAttributes, fallback: '/sys' }, slots),
    ...cgroupMounts(o.cgroup, sysAttributes, slots),
  ];
}

function devMounts(o: SystemMountOptions, slots: SlotCounter): PreparedMount[] {
  const { devices, devOptions, shmSizeBytes, userNamespace } = o;
  const dev = { type: 'tmpfs', attributes: `nosuid,${devices}`, options: devOptions };
  // Group 5 is tty on all distributions; it may not exist in a user namespace.
  const ptsOptions = ['newinstance', 'ptmxmode=0666', 'mode=0620', ...(userNamespace === 'initial' ? ['gid=5'] : [])];
  const pts = { type: 'devpts', attributes: 'nosuid,noexec', options: ptsOptions };
  const shm = { type: 'tmpfs', attributes: inert, options: ['mode=1777', `size=${shmSizeBytes}`] };
  const entries: PreparedMount = {
    make: [],
    attach: [
      ...['pts', 'mqueue', 'shm'].map((name): HelperCommand => ['directory', `/dev/${name}`, '755']),
      ...deviceLinks.map(({ name, target }): HelperCommand => ['link', `/dev/${name}`, target]),
      ...deviceNodes.map(({ name }): HelperCommand => ['placeholder', `/dev/${name}`]),
    ],
  };
  return [
    newFileSystem({ path: '/dev', fallback: 'fail', ...dev }, slots),
    entries,
    newFileSystem({ path: '/dev/pts', fallback: 'none', ...pts }, slots),
    newFileSystem({ path: '/dev/mqueue', type: 'mqueue', attributes: inert, fallback: 'none' }, slots),
    newFileSystem({ path: '/dev/shm', fallback: 'fail', ...shm }, slots),
    ...deviceNodes.map(({ name, major, minor }): PreparedMount => {
      const slot = slots.next();
      const make = deviceNode(slot, {
        source: `/dev/${name}`,
        kind: 'character',
        major,
        minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
      });
      return { make: [make], attach: [['attach', slot, `/dev/${name}`, 'file']] };
    }),
  ];
}

function cgroupMounts({ view }: CgroupPlan, attributes: string, slots: SlotCounter): PreparedMount[] {
  const path = '/sys/fs/cgroup';
  if (view.type === 'none') return [];
  if (view.type === 'v2') return [newFileSystem({ path, type: 'cgroup2', attributes, fallback: 'none' }, slots)];
  const top = slots.next();
  const groups = view.controllers.map(({ name, path: source }) => ({ name, source, slot: slots.next() }));
  return [
    {
      make: [
        ['fs', top, 'tmpfs', inert, 'fail', 'mode=0755', 'size=64k'],
        ...groups.map(({ slot, source }): HelperCommand => ['bind', slot, attributes, source, '']),
      ],
      attach: [
        ['attach', top, path, 'real-directory'],
        ...groups.flatMap(({ slot, name }): HelperCommand[] => [
          ['directory', `${path}/${name}`, '755'],
          ['attach', slot, `${path}/${name}`, 'real-directory'],
        ]),
        ['protect', top],
      ],
    },
  ];
}

function newFileSystem(
  { path, type, attributes, fallback, options = [] }: FileSystem,
  slots: SlotCounter,
): PreparedMount {
  const slot = slots.next();
  return {
    make: [['fs', slot, type, attributes, fallback, ...options]],
    attach: [['attach', slot, path, 'real-directory']],
  };
}
