import type { ResourceLimits } from '../src/core/graph.ts';
import { defaultPids, type CgroupDriver, type CgroupPlan, type CgroupReadings, type CgroupRequest } from './cgroup.ts';
import type { CgroupHierarchy } from './cgroup-hierarchies.ts';
import { groupName, parentGroups } from './cgroup-name.ts';
import { deviceFilter, grantedDevices } from './device-filter.ts';
import type { HelperCommand } from './helper-program.ts';

/** Cgroups of version 2: one directory, into which the step is born. */
export class CgroupV2 implements CgroupDriver {
  readonly version = 'v2';
  readonly #hierarchy: CgroupHierarchy;
  readonly #parent: string;
  readonly #pids = defaultPids();

  readonly #leaf: Disposable | undefined;

  /**
   * Groups are made in `parent`, whose children have the controllers that the kernel lets them have. `leaf` is where this process has moved
   * itself for that; the driver owns it.
   */
  constructor(hierarchy: CgroupHierarchy, parent: string, leaf?: Disposable) {
    this.#hierarchy = hierarchy;
    this.#parent = parent;
    this.#leaf = leaf;
  }

  [Symbol.dispose](): void {
    this.#leaf?.[Symbol.dispose]();
  }

  plan({ cgroupParent, confinement, mounts }: CgroupRequest): CgroupPlan {
    const { mountPoint, own } = this.#hierarchy;
    const parents = cgroupParent === undefined ? [] : parentGroups(mountPoint, own, cgroupParent);
    const group = `${parents.at(-1) ?? this.#parent}/${groupName()}`;
    return {
      before: [
        ...parents.flatMap((path) => [['mkdir', path] satisfies HelperCommand, ...enable(path)]),
        ['mkdir', group],
        ...(confinement === 'default'
          ? [['device-filter', group, deviceFilter(grantedDevices(mounts))] satisfies HelperCommand]
          : []),
      ],
      limits: (resources) =>
        limitWrites(resources)
          .map(([file, value]): HelperCommand => ['write', `${group}/${file}`, value, 'optional'])
          .concat(resources.pids === undefined ? [['write', `${group}/pids.max`, String(this.#pids), 'quiet']] : []),
      join: [],
      into: group,
      after: [...readings.map((file): HelperCommand => ['read', file, `${group}/${file}`]), ['tell'], ['rmdir', group]],
      runtimePath: group.slice(mountPoint.length),
      directories: [group],
      freezer: group,
      view: { type: 'v2' },
      devices: confinement === 'default' ? 'attempted' : 'unfiltered',
      readings: readingsOf,
    };
  }

  keyOf({ cgroupParent, confinement, mounts }: CgroupRequest): string {
    return JSON.stringify([confinement, cgroupParent, grantedDevices(mounts)]);
  }
}

/** The controllers that limits and accounting use, as `cgroup.subtree_control` takes them; the one that it may refuse comes first. */
export const v2Controllers = ['memory', 'pids', 'cpu', 'cpuset', 'io'];

function enable(path: string): HelperCommand[] {
  return v2Controllers.map((name): HelperCommand => ['write', `${path}/cgroup.subtree_control`, `+${name}`, 'quiet']);
}

const readings = ['memory.peak', 'memory.events', 'cpu.stat', 'io.stat', 'pids.events'] as const;

function limitWrites(limits: ResourceLimits): [file: string, value: string][] {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuPeriodUs, cpuQuotaUs, cpusetCpus, cpusetMems, pids } = limits;
  const writes: [string, string | number | undefined][] = [
    ['memory.max', memoryBytes],
    ['memory.swap.max', swapMax(memoryBytes, memorySwapBytes)],
    ['cpu.weight', cpuShares === undefined ? undefined : weightOf(cpuShares)],
    ['cpu.max', cpuMax(cpuQuotaUs, cpuPeriodUs)],
    ['cpuset.cpus', cpusetCpus],
    ['cpuset.mems', cpusetMems],
    ['pids.max', pids === undefined || pids > 0 ? pids : 'max'],
  ];
  return writes.flatMap(([file, value]): [string, string][] => (value === undefined ? [] : [[file, String(value)]]));
}

/** The limit is on memory and swap together, as `docker build --memory-swap` has it; v2 counts swap alone. */
function swapMax(memory: number | undefined, both: number | undefined): string | number | undefined {
  if (both === undefined) return undefined;
  return both < 0 ? 'max' : Math.max(0, both - (memory ?? 0));
}

/** From v1's 2 … 262144 to v2's 1 … 10000, as runc does. */
function weightOf(shares: number): number {
  return Math.trunc(1 + ((Math.max(2, shares) - 2) * 9999) / 262142);
}

function cpuMax(quotaUs: number | undefined, periodUs: number | undefined): string | undefined {
  if (quotaUs === undefined && periodUs === undefined) return undefined;
  return `${quotaUs === undefined || quotaUs < 0 ? 'max' : quotaUs} ${periodUs ?? 100_000}`;
}

function readingsOf(texts: ReadonlyMap<string, string>): CgroupReadings {
  const text = (file: (typeof readings)[number]): string => texts.get(file) ?? '';
  const peak = text('memory.peak');
  const cpuUs = /^usage_usec (\d+)$/m.exec(text('cpu.stat'))?.[1];
  const io = texts.get('io.stat');
  return {
    ...(peak === '' ? {} : { peakMemoryBytes: Number(peak) }),
    ...(cpuUs === undefined ? {} : { cpuMs: Number(cpuUs) / 1000 }),
    ...(io === undefined ? {} : { ioReadBytes: sumOf(io, /rbytes=(\d+)/g), ioWriteBytes: sumOf(io, /wbytes=(\d+)/g) }),
    oomKills: Number(/^oom_kill (\d+)$/m.exec(text('memory.events'))?.[1] ?? 0),
    refusedProcesses: Number(/^max (\d+)$/m.exec(text('pids.events'))?.[1] ?? 0),
  };
}

function sumOf(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}
