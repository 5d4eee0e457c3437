import type { ResourceLimits } from '../src/core/graph.ts';
import { parseCpuList } from './cpu-list.ts';

const defaultPeriodUs = 100_000;

/**
 * The processors that are worth a thread each: those of the cpuset, and no more of them than the quota pays for. They keep their numbers,
 * which is what sched_getaffinity(2) tells too.
 */
export function usableCpus(online: readonly number[], limits: ResourceLimits): readonly number[] {
  const { cpusetCpus, cpuQuotaUs = 0, cpuPeriodUs = defaultPeriodUs } = limits;
  const chosen = cpusetCpus === undefined ? undefined : new Set(parseCpuList(cpusetCpus));
  const cpus = online.filter((cpu) => chosen?.has(cpu) ?? true);
  return cpuQuotaUs > 0 ? cpus.slice(0, Math.max(1, Math.ceil(cpuQuotaUs / cpuPeriodUs))) : cpus;
}

/** /proc/cpuinfo with the sections of these processors only. */
export function limitedCpuinfo(text: string, cpus: readonly number[]): string {
  const sections = text.split(/\n\n+/).filter((section) => section.trim() !== '');
  return sections
    .filter((section) => {
      const number = /^processor\s*:\s*(\d+)$/m.exec(section)?.[1];
      return number === undefined || cpus.includes(Number(number));
    })
    .map((section) => `${section.trimEnd()}\n\n`)
    .join('');
}

/** /proc/stat with the lines of these processors only, and their sum as that of all. */
export function limitedStat(text: string, cpus: readonly number[]): string {
  const times = new Map<number, readonly number[]>();
  for (const [, cpu, values = ''] of text.matchAll(/^cpu(\d+) (.*)$/gm)) {
    if (cpus.includes(Number(cpu))) times.set(Number(cpu), values.split(' ').map(Number));
  }
  const rows = [...times.values()];
  const sum = (rows[0] ?? []).map((_, column) => rows.reduce((total, row) => total + (row[column] ?? 0), 0));
  const rest = text.split('\n').filter((line) => !/^cpu\d* /.test(line));
  return [`cpu  ${sum.join(' ')}`, ...[...times].map(([cpu, row]) => `cpu${cpu} ${row.join(' ')}`), ...rest].join('\n');
}
