import { basename } from 'node:path';
import type { ResourceLimits } from '../src/core/graph.ts';
import { defaultPids, type CgroupDriver, type CgroupPlan, type CgroupReadings, type CgroupRequest } from './cgroup.ts';
import type { CgroupHierarchy } from './cgroup-hierarchies.ts';
import { deviceRule, grantedDevices, type GrantedDevice, usableDevices } from './device-filter.ts';
import { groupName, parentGroups } from './cgroup-name.ts';
import type { HelperCommand } from './helper-program.ts';

/** Controllers that every step gets, for accounting and for devices; the others only where a limit asks for them. */
const usual = new Set(['memory', 'pids', 'cpuacct', 'devices', 'blkio']);

const deviceRules = [
  'c *:* m',
  'b *:* m',
  ...usableDevices.map(({ major, minor }) => `c ${major}:${minor ?? '*'} rwm`),
];

interface Group {
  readonly controllers: readonly string[];
  /** The name of the hierarchy's mount point, as the step sees it below /sys/fs/cgroup. */
  readonly name: string;
  readonly path: string;
  readonly parents: readonly string[];
}

/** Cgroups of version 1: one directory per hierarchy, which the step joins before it sees them as roots. */
export class CgroupV1 implements CgroupDriver {
  readonly version = 'v1';
  readonly #pids = defaultPids();
  readonly #usable: readonly CgroupHierarchy[];
  readonly #all: readonly CgroupHierarchy[];

  /** Groups may be made in `usable`; `all` has the hierarchies besides that an OCI runtime uses. */
  constructor(usable: readonly CgroupHierarchy[], all: readonly CgroupHierarchy[]) {
    this.#usable = usable;
    this.#all = all;
  }

  plan(spec: CgroupRequest): CgroupPlan {
    const name = groupName();
    const groups = this.#groups(spec, name);
    const find = (controller: string): string | undefined =>
      groups.find(({ controllers }) => controllers.includes(controller))?.path;
    const devices = spec.confinement === 'default' ? find('devices') : undefined;
    const freezer = this.#freezer(spec, name);
    return {
      before: [
        ...groups.flatMap(({ parents, path }) => [...parents, path].map((each): HelperCommand => ['mkdir', each])),
        ...cpusetDefaults(groups, spec.resources),
        ...(devices === undefined ? [] : deviceWrites(devices, grantedDevices(spec.mounts))),
      ],
      limits: (resources) =>
        limitWrites(resources)
          .map(([controller, file, value]) => limit(find(controller), file, value))
          .concat(resources.pids === undefined ? pidsDefault(find('pids'), this.#pids) : []),
      join: groups.map(({ path }) => path),
      after: [
        ...readings.flatMap(([controller, file]): HelperCommand[] => {
          const path = find(controller);
          return path === undefined ? [] : [['read', file, `${path}/${file}`]];
        }),
        ['tell'],
        ...groups.map(({ path }): HelperCommand => ['rmdir', path]),
        ...(freezer === undefined ? [] : [['rmdir', freezer] satisfies HelperCommand]),
      ],
      ...(freezer === undefined ? {} : { freezer }),
      runtimePath: spec.cgroupParent === undefined ? name : `${spec.cgroupParent}/${name}`,
      directories: this.#all.map((hierarchy) => directoryIn(hierarchy, spec, name)),
      view: { type: 'v1', controllers: groups },
      devices: devices === undefined ? 'unfiltered' : 'filtered',
      readings: readingsOf,
    };
  }

  keyOf({ resources, cgroupParent, confinement, mounts }: CgroupRequest): string {
    return JSON.stringify([confinement, cgroupParent, unusual(resources), grantedDevices(mounts)]);
  }

  [Symbol.dispose](): void {}

  #freezer(spec: CgroupRequest, name: string): string | undefined {
    const hierarchy = this.#usable.find(({ controllers }) => controllers.includes('freezer'));
    return hierarchy && directoryIn(hierarchy, spec, name);
  }

  #groups({ resources, cgroupParent }: CgroupRequest, name: string): readonly Group[] {
    const wanted = new Set([...usual, ...unusual(resources)]);
    return this.#usable
      .filter(({ controllers }) => controllers.some((controller) => wanted.has(controller)))
      .map(({ controllers, mountPoint, own }) => {
        const parents = cgroupParent === undefined ? [] : parentGroups(mountPoint, own, cgroupParent);
        return { controllers, name: basename(mountPoint), parents, path: `${parents.at(-1) ?? own}/${name}` };
      });
  }
}

function directoryIn({ mountPoint, own }: CgroupHierarchy, { cgroupParent }: CgroupRequest, name: string): string {
  const parents = cgroupParent === undefined ? [] : parentGroups(mountPoint, own, cgroupParent);
  return `${parents.at(-1) ?? own}/${name}`;
}

/** Controllers that only a limit asks for. */
function unusual(resources: ResourceLimits): readonly string[] {
  return [...new Set(limitWrites(resources).map(([controller]) => controller))].filter((name) => !usual.has(name));
}

const readings = [
  ['memory', 'memory.max_usage_in_bytes'],
  ['memory', 'memory.oom_control'],
  ['cpuacct', 'cpuacct.usage'],
  ['blkio', 'blkio.throttle.io_service_bytes'],
  ['pids', 'pids.events'],
] as const;

/** Controller, file and value of every limit, in the order in which the kernel takes them. */
function limitWrites(limits: ResourceLimits): [controller: string, file: string, value: string][] {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuPeriodUs, cpuQuotaUs, cpusetCpus, cpusetMems, pids } = limits;
  const writes: [string, string, string | number | undefined][] = [
    ['memory', 'memory.limit_in_bytes', memoryBytes],
    ['memory', 'memory.memsw.limit_in_bytes', memorySwapBytes],
    ['cpu', 'cpu.shares', cpuShares],
    ['cpu', 'cpu.cfs_period_us', cpuPeriodUs],
    ['cpu', 'cpu.cfs_quota_us', cpuQuotaUs],
    ['cpuset', 'cpuset.cpus', cpusetCpus],
    ['cpuset', 'cpuset.mems', cpusetMems],
    ['pids', 'pids.max', pids === undefined || pids > 0 ? pids : 'max'],
  ];
  return writes.flatMap(([controller, file, value]): [string, string, string][] =>
    value === undefined ? [] : [[controller, file, String(value)]],
  );
}

/** A missing controller fails like a refused value: with a note, since limits are not promised everywhere. */
function limit(group: string | undefined, file: string, value: string): HelperCommand {
  return ['write', `${group ?? '/sys/fs/cgroup/missing'}/${file}`, value, 'optional'];
}

/** Nobody asked for it, so nobody is told where it cannot be set. */
function pidsDefault(group: string | undefined, pids: number): HelperCommand[] {
  return group === undefined ? [] : [['write', `${group}/pids.max`, String(pids), 'quiet']];
}

/** A cpuset starts empty and then takes no process: what is not limited is what the group above has. */
function cpusetDefaults(groups: readonly Group[], limits: ResourceLimits): HelperCommand[] {
  if (limits.cpusetCpus === undefined && limits.cpusetMems === undefined) return [];
  return groups
    .filter(({ controllers }) => controllers.includes('cpuset'))
    .flatMap(({ parents, path }) => [...parents, path])
    .flatMap((path) =>
      ['cpuset.cpus', 'cpuset.mems'].map((file): HelperCommand => ['inherit', `${path}/..`, path, file]),
    );
}

function deviceWrites(group: string, granted: readonly GrantedDevice[]): HelperCommand[] {
  return [
    ['write', `${group}/devices.deny`, 'a', 'required'],
    ...[...deviceRules, ...granted.map(deviceRule)].map((rule): HelperCommand => [
      'write',
      `${group}/devices.allow`,
      rule,
      'required',
    ]),
  ];
}

function readingsOf(texts: ReadonlyMap<string, string>): CgroupReadings {
  const text = (file: (typeof readings)[number][1]): string | undefined => texts.get(file);
  const peak = text('memory.max_usage_in_bytes');
  const cpuNs = text('cpuacct.usage');
  const io = text('blkio.throttle.io_service_bytes');
  // Since Linux 6.9 devices are counted only while they are throttled; where there is none the kernel's other counters are better.
  const counted = io !== undefined && /^\d+:\d+ /m.test(io);
  return {
    ...(peak === undefined ? {} : { peakMemoryBytes: Number(peak) }),
    ...(cpuNs === undefined ? {} : { cpuMs: Number(cpuNs) / 1e6 }),
    ...(!counted ? {} : { ioReadBytes: sumOf(io, 'Read'), ioWriteBytes: sumOf(io, 'Write') }),
    oomKills: Number(/^oom_kill (\d+)$/m.exec(text('memory.oom_control') ?? '')?.[1] ?? 0),
    refusedProcesses: Number(/^max (\d+)$/m.exec(text('pids.events') ?? '')?.[1] ?? 0),
  };
}

/** Lines are `MAJOR:MINOR Read BYTES`. */
function sumOf(text: string, kind: string): number {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, name]) => name === kind)
    .reduce((sum, [, , bytes]) => sum + Number(bytes), 0);
}
