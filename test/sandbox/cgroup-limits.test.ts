import { globSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { parseHierarchies } from '../../sandbox/cgroup-hierarchies.ts';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig } from '../support/step-rig.ts';

const { v1 } = parseHierarchies(
  readFileSync('/proc/self/mountinfo', 'utf8'),
  readFileSync('/proc/self/cgroup', 'utf8'),
);

const resources = {
  memoryBytes: 64 << 20,
  memorySwapBytes: 96 << 20,
  cpuShares: 512,
  cpuPeriodUs: 50_000,
  cpuQuotaUs: 25_000,
  cpusetCpus: '0',
  cpusetMems: '0',
  pids: 33,
};

/** Files below /sys/fs/cgroup as a step sees it, and what the limits above make of them. */
const expected: Readonly<Record<string, string>> = v1.some(({ controllers }) => controllers.length > 0)
  ? {
      'memory/memory.limit_in_bytes': '67108864',
      'memory/memory.memsw.limit_in_bytes': '100663296',
      'cpu/cpu.shares': '512',
      'cpu/cpu.cfs_period_us': '50000',
      'cpu/cpu.cfs_quota_us': '25000',
      'cpuset/cpuset.cpus': '0',
      'cpuset/cpuset.mems': '0',
      'pids/pids.max': '33',
    }
  : {
      'memory.max': '67108864',
      'memory.swap.max': '33554432',
      'cpu.weight': '20',
      'cpu.max': '25000 50000',
      'cpuset.cpus': '0',
      'cpuset.mems': '0',
      'pids.max': '33',
    };

const cgroupParent = `/tsbuild-test-${process.pid}`;

/** The values that groups below the parent have; one of them is the step's, another may be made ahead for the next step. */
function outside(file: string): readonly string[] {
  const folder = file.includes('/') ? `${file.split('/')[0]}` : '';
  const name = file.split('/').at(-1) ?? '';
  const groups = globSync(join('/sys/fs/cgroup', folder, cgroupParent, 'tsbuild-*'));
  return groups.map((group) => readFileSync(join(group, name), 'utf8').trim());
}

describeWith(['root', 'overlay', 'busybox'], 'cgroup limits', () => {
  beforeAll(buildDist);
  afterEach(() => {
    for (const path of globSync(`/sys/fs/cgroup/{,*}${cgroupParent}`)) rmdirSync(path);
  });

  it('all of them are seen from inside and from outside, below the parent group', async () => {
    await using rig = await openStepRig();
    const notes: string[] = [];
    await using executor = await openExecutor({
      stateDir: join(rig.top, 'state'),
      networkDriver: 'host',
      notes: (text) => notes.push(text),
    });
    const script = `cd /sys/fs/cgroup; for f in ${Object.keys(expected).join(' ')}; do echo $f $(cat $f); done; echo up; sleep 600`;
    const stop = new AbortController();
    let seen = '';
    const found = new Map<string, readonly string[]>();
    const step = executor.run(rig.spec(['/bin/sh', '-c', script], { resources, cgroupParent }), {
      output: (_, chunk) => {
        seen += Buffer.from(chunk).toString();
        if (!seen.endsWith('up\n')) return;
        for (const file of Object.keys(expected)) found.set(file, outside(file));
        stop.abort(new Error('seen'));
      },
      signal: stop.signal,
    });
    await expect(step).rejects.toThrow('seen');
    const inside = seen.split('\n').filter((line) => line.includes(' '));
    expect(inside).toEqual(Object.entries(expected).map(([file, value]) => `${file} ${value}`));
    for (const [file, value] of Object.entries(expected)) expect(found.get(file), file).toContain(value);
    expect(notes).toEqual([]);
  });
  it('time on the processor is held to the quota', async () => {
    await using rig = await openStepRig();
    await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
    const throttled = 'cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null | grep nr_throttled';
    const script = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; ${throttled}`;
    const { stdout } = await rig.sh(executor, script, { resources: { cpuPeriodUs: 10_000, cpuQuotaUs: 2000 } });
    expect(stdout).toMatch(/nr_throttled [1-9]/);
  });
  it('what a step read, wrote and computed is counted', async () => {
    await using rig = await openStepRig();
    await using executor = await openExecutor({ stateDir: join(rig.top, 'state'), syncSteps: 'real' });
    const script =
      'dd if=/dev/zero of=/data/f bs=1M count=4 oflag=direct; dd if=/data/f of=/dev/null bs=1M iflag=direct';
    const { status, stderr } = await rig.sh(executor, script);
    expect(status, stderr).toMatchObject({ kind: 'exited', code: 0 });
    expect(status.usage.ioWriteBytes).toBeGreaterThanOrEqual(4 << 20);
    expect(status.usage.ioReadBytes).toBeGreaterThanOrEqual(4 << 20);
    expect(status.usage.cpuMs).toBeGreaterThan(0);
    expect(status.usage.peakMemoryBytes).toBeGreaterThan(0);
  });
});
