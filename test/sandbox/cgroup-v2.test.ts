import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DeviceAccess } from '../../src/core/executor.ts';
import { defaultPids } from '../../sandbox/cgroup.ts';
import { CgroupV2 } from '../../sandbox/cgroup-v2.ts';
import { parseHierarchies } from '../../sandbox/cgroup-hierarchies.ts';
import { NativeExecutor } from '../../sandbox/executor-native.ts';
import { helperPath } from '../../sandbox/helper-path.ts';
import { Networks } from '../../sandbox/open-networks.ts';
import { OwnDirectory } from '../../sandbox/own-directory.ts';
import { RunRecords } from '../../sandbox/run-records.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig } from '../support/step-rig.ts';

const hierarchy = { controllers: [], mountPoint: '/cg', own: '/cg/user/session' };

const ignore = (): void => undefined;

async function planOf(change: object): Promise<ReturnType<CgroupV2['plan']>> {
  await using rig = await openStepRig();
  return new CgroupV2(hierarchy, '/cg/user').plan(rig.spec(['true'], change));
}

describe('cgroup v2: plan', () => {
  it('limits are written in v2’s words', async () => {
    const { limits, into = '' } = await planOf({});
    const resources = {
      memoryBytes: 1000,
      memorySwapBytes: 1500,
      cpuShares: 1024,
      cpuQuotaUs: 50_000,
      cpusetCpus: '0-1',
      pids: 7,
    };
    const writes = limits(resources).map(([, path, value]) => [String(path).slice(into.length + 1), value]);
    expect(Object.fromEntries(writes)).toEqual({
      'memory.max': '1000',
      'memory.swap.max': '500',
      'cpu.weight': '39',
      'cpu.max': '50000 100000',
      'cpuset.cpus': '0-1',
      'pids.max': '7',
    });
  });
  it('processes are limited where nothing says how many, by half of what the machine can have', async () => {
    const { limits, into = '' } = await planOf({});
    expect(limits({})).toEqual([['write', `${into}/pids.max`, String(defaultPids()), 'quiet']]);
    expect(limits({ pids: -1 })).toEqual([['write', `${into}/pids.max`, 'max', 'optional']]);
    expect([defaultPids([4_194_304, 100_000]), defaultPids([32_768, 14_000])]).toEqual([32_768, 7_000]);
  });
  it('a configured parent is made, and hands its controllers down', async () => {
    const { before, into } = await planOf({ cgroupParent: '/ci/builds' });
    expect(before.filter(([name]) => name === 'mkdir').map(([, path]) => path)).toEqual([
      '/cg/ci',
      '/cg/ci/builds',
      into,
    ]);
    expect(
      before.some(
        ([name, path, value]) => name === 'write' && path === '/cg/ci/cgroup.subtree_control' && value === '+memory',
      ),
    ).toBe(true);
    expect(into).toMatch(/^\/cg\/ci\/builds\/tsbuild-/);
  });
  it.each(['..', '/', 'a/../../b'])('parent %j is refused', async (cgroupParent) => {
    await expect(planOf({ cgroupParent })).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });
  it('readings: peak, time, input and output, kills, refusals', async () => {
    const { readings } = await planOf({});
    const texts = new Map([
      ['memory.peak', '4096\n'],
      ['memory.events', 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n'],
      ['cpu.stat', 'usage_usec 1500\nuser_usec 1000\n'],
      ['pids.events', 'max 4\n'],
      ['io.stat', '8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n'],
    ]);
    expect(readings(texts)).toEqual({
      peakMemoryBytes: 4096,
      cpuMs: 1.5,
      ioReadBytes: 11,
      ioWriteBytes: 22,
      oomKills: 2,
      refusedProcesses: 4,
    });
    expect(readings(new Map())).toEqual({ oomKills: 0, refusedProcesses: 0 });
  });
});

const { unified } = parseHierarchies(
  readFileSync('/proc/self/mountinfo', 'utf8'),
  readFileSync('/proc/self/cgroup', 'utf8'),
);

describeWith(['root', 'overlay', 'busybox'], 'cgroup v2: kernel', () => {
  beforeAll(buildDist);
  it.skipIf(unified === undefined || !existsSync(unified.own))(
    'a step is born into its group, devices are filtered, the group is gone',
    async () => {
      if (unified === undefined) return;
      await using rig = await openStepRig();
      const scratch = join(rig.top, 'mount-point');
      await mkdir(scratch);
      const cgroups = new CgroupV2(unified, unified.own);
      const options = { helper: helperPath(), scratch, cgroups, userNamespace: 'initial', syncSteps: 'real' } as const;
      const networks = new Networks({ driver: 'host', helper: helperPath(), users: 'own', notes: ignore });
      const records = new RunRecords(rig.top);
      const own = new OwnDirectory(join(rig.top, 'active'), ignore);
      const executor = new NativeExecutor({ ...options, networks, own, records, notes: ignore });
      const script = [
        'grep "^0::" /proc/self/cgroup',
        'mknod /data/disk b 254 0; cat /data/disk 2>&1',
        'mknod /data/null c 1 3; cat /data/null && echo null works',
        'grep -c ^0 /sys/fs/cgroup/cgroup.procs',
        'mknod /data/mem c 1 1; cat /data/mem 2>&1',
        'grep " / " /proc/mounts | grep -c nodev',
        'mkdir /sys/fs/cgroup/x 2>&1 | grep -c "Read-only"',
      ];
      // Without the host's network it is the helper that makes device nodes, in the step's group.
      const { stdout } = await rig.sh(executor, script.join('; '), { network: 'none' });
      expect(stdout.split('\n').slice(0, -1)).toEqual([
        '0::/',
        "cat: can't open '/data/disk': Operation not permitted",
        'null works',
        '1',
        "cat: can't open '/data/mem': Operation not permitted",
        '0',
        '1',
      ]);
      const log = {
        type: 'device',
        source: '/dev/kmsg',
        destination: '/dev/log',
        kind: 'character',
        major: 1,
        minor: 11,
      } as const;
      const opens = async (access: DeviceAccess): Promise<boolean> => {
        const mounts = [{ ...log, mode: 0o666, uid: 0, gid: 0, access }];
        return (await rig.sh(executor, ': > /dev/log && echo open', { mounts })).stdout === 'open\n';
      };
      expect(await opens({ read: true, write: true, mknod: true })).toBe(true);
      expect(await opens({ read: false, write: true, mknod: false })).toBe(true);
      expect(await opens({ read: true, write: false, mknod: true })).toBe(false);
      await executor[Symbol.asyncDispose]();
      expect(globSync(`${unified.own}/tsbuild-${process.pid}-*`)).toEqual([]);
    },
  );
});
