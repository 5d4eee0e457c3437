import { readFileSync } from 'node:fs';
import type { ResourceLimits } from '../src/core/graph.ts';
import { limitedCpuinfo, limitedStat, usableCpus } from './limited-cpus.ts';
import { limitedMeminfo } from './limited-meminfo.ts';
import { formatCpuList, parseCpuList } from './cpu-list.ts';

/** A file of /proc or /sys with another text than the kernel's. */
export interface ReplacedFile {
  readonly path: string;
  readonly text: string;
}

const online = '/sys/devices/system/cpu/online';

/**
 * What /proc and /sys are to tell a step of the machine, so that programs which size themselves by it keep to the step's limits. It is a
 * snapshot, taken when the step starts; empty where no limit makes a difference.
 */
export function limitedView(limits: ResourceLimits, read: (path: string) => string = readText): ReplacedFile[] {
  const files: ReplacedFile[] = [];
  if (limits.memoryBytes !== undefined) {
    files.push({ path: '/proc/meminfo', text: limitedMeminfo(read('/proc/meminfo'), limits) });
  }
  if (limits.cpusetCpus === undefined && limits.cpuQuotaUs === undefined) return files;
  const all = parseCpuList(read(online));
  const cpus = usableCpus(all, limits);
  if (cpus.length === all.length) return files;
  return [
    ...files,
    { path: '/proc/cpuinfo', text: limitedCpuinfo(read('/proc/cpuinfo'), cpus) },
    { path: '/proc/stat', text: limitedStat(read('/proc/stat'), cpus) },
    { path: online, text: `${formatCpuList(cpus)}\n` },
  ];
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
