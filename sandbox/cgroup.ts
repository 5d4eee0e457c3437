import { readFileSync } from 'node:fs';
import type { RuntimeSpec } from '../src/core/executor.ts';
import type { ResourceLimits } from '../src/core/graph.ts';
import type { HelperCommand } from './helper-program.ts';

/** A step's cgroup as data for its program. */
export interface CgroupPlan {
  /** Run on the host before the step starts: makes the group. */
  readonly before: readonly HelperCommand[];
  /** Groups the step joins itself (v1). */
  readonly join: readonly string[];
  /** The group it is born into (v2). */
  readonly into?: string;
  /** Run by the step in its group while the host's files are in sight. The same group serves all limits that `keyOf` does not tell apart. */
  readonly limits: (resources: ResourceLimits) => readonly HelperCommand[];
  /**
   * Run on the host after everything has ended: accounting, then removal, which nobody waits for: in v1 it may take until another step has joined
   * its groups.
   */
  readonly after: readonly HelperCommand[];
  /** The group as an OCI runtime is told of it (`linux.cgroupsPath`), which makes it itself. */
  readonly runtimePath?: string;
  /** Its directories in all hierarchies, for whoever must remove what a runtime has made. */
  readonly directories: readonly string[];
  /** Where it can be frozen: the group itself in v2; in v1 a group that is made when somebody wants that, since joining costs 10 ms. */
  readonly freezer?: string;
  /** What the step sees at /sys/fs/cgroup. */
  readonly view:
    | { readonly type: 'none' }
    | { readonly type: 'v2' }
    | { readonly type: 'v1'; readonly controllers: readonly { readonly name: string; readonly path: string }[] };
  /** Whether the group refuses devices that are not on Docker's list; `attempted`: the helper finds out. */
  readonly devices: 'filtered' | 'attempted' | 'unfiltered';
  /** Makes sense of what the commands of `after` have read. */
  readonly readings: (texts: ReadonlyMap<string, string>) => CgroupReadings;
}

/** What a step's cgroup counted; absent where it has no such counter. */
export interface CgroupReadings {
  readonly cpuMs?: number;
  readonly peakMemoryBytes?: number;
  readonly ioReadBytes?: number;
  readonly ioWriteBytes?: number;
  readonly oomKills: number;
  /** How often a process or thread was refused since there were as many as the limit allows. */
  readonly refusedProcesses: number;
}

/** The part of a spec that matters to its cgroup. */
export type CgroupRequest = Pick<RuntimeSpec, 'resources' | 'cgroupParent' | 'confinement' | 'mounts'>;

/** Plans cgroups on one kind of hierarchy. Dispose it when no step runs any more. */
export interface CgroupDriver extends Disposable {
  readonly version: 'v1' | 'v2' | 'none';
  /** A group of its own for one step, below the spec's `cgroupParent` or our own group. */
  plan(spec: CgroupRequest): CgroupPlan;
  /** Equal for steps that one plan would serve. */
  keyOf(spec: CgroupRequest): string;
}

/** Enough for any build, too little for a fork bomb to take the machine's last process ids or, at 16 KiB of kernel stack each, its memory. */
const mostPids = 32_768;

/** How many processes and threads a step may have where nothing says: no more than half of what the machine can have. */
export function defaultPids(limits: readonly number[] = machinePids()): number {
  return Math.min(mostPids, ...limits.map((limit) => Math.floor(limit / 2)));
}

function machinePids(): readonly number[] {
  return ['pid_max', 'threads-max'].map((name) => Number(readFileSync(`/proc/sys/kernel/${name}`, 'utf8')));
}

/** For machines that let us have no cgroup: steps run without limits and without accounting. */
export const withoutCgroups: CgroupDriver = {
  version: 'none',
  plan: () => ({
    before: [],
    join: [],
    after: [],
    directories: [],
    limits: () => [],
    view: { type: 'none' },
    devices: 'unfiltered',
    readings: () => ({ oomKills: 0, refusedProcesses: 0 }),
  }),
  keyOf: () => '',
  [Symbol.dispose]: () => undefined,
};
