import { constants } from 'node:os';
import type { ExitStatus, ResourceUsage, RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupReadings } from './cgroup.ts';
import type { HelperOutcome } from './helper-process.ts';

/** How a step ended, from wait(2)'s status and what its cgroup counted. A step that was killed with its guard has no status. */
export function exitStatusOf(ended: HelperOutcome['ended'], readings: CgroupReadings, spec: RuntimeSpec): ExitStatus {
  const usage = usageOf(ended, readings);
  const signal = ended === undefined ? constants.signals.SIGKILL : ended.status & 0x7f;
  const code = ended === undefined ? 0 : (ended.status >> 8) & 0xff;
  if ((signal !== 0 || code !== 0) && readings.oomKills > 0) {
    // Without a limit of its own the step fell under one of the groups above, which its peak has reached.
    const limitBytes = spec.resources.memoryBytes ?? usage.peakMemoryBytes ?? 0;
    return { kind: 'out-of-memory', limitBytes, peakBytes: usage.peakMemoryBytes ?? limitBytes, usage };
  }
  return signal === 0 ? { kind: 'exited', code, usage } : { kind: 'signaled', signal: signalName(signal), usage };
}

function usageOf(ended: HelperOutcome['ended'], readings: CgroupReadings): ResourceUsage {
  const { peakMemoryBytes } = readings;
  const { ioReadBytes, ioWriteBytes } = readings.ioReadBytes === undefined ? (ended ?? readings) : readings;
  const cpuMs = readings.cpuMs ?? (ended === undefined ? undefined : ended.cpuUs / 1000);
  return {
    ...(cpuMs === undefined ? {} : { cpuMs }),
    ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }),
    ...(ioReadBytes === undefined ? {} : { ioReadBytes }),
    ...(ioWriteBytes === undefined ? {} : { ioWriteBytes }),
  };
}

function signalName(number: number): string {
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  return known?.[0] ?? `SIG${number}`;
}
