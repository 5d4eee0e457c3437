import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseHierarchies } from '../../sandbox/cgroup-hierarchies.ts';
import { groupName, sweepGroups } from '../../sandbox/cgroup-name.ts';

describe('cgroup: hierarchies', () => {
  it('hybrid: controllers, a named hierarchy, v2 beside them', () => {
    const mountinfo = [
      '30 24 0:26 / /sys/fs/cgroup rw,relatime shared:1 - tmpfs tmpfs rw,mode=755',
      '31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
      '32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
      '33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd',
      '34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
    ].join('\n');
    const cgroup = '5:name=systemd:/user\n4:memory:/api/x:y\n3:cpu,cpuacct:/\n0::/init\n';
    expect(parseHierarchies(mountinfo, cgroup)).toEqual({
      v1: [
        {
          controllers: ['cpu', 'cpuacct'],
          mountPoint: '/sys/fs/cgroup/cpu,cpuacct',
          own: '/sys/fs/cgroup/cpu,cpuacct',
        },
        { controllers: ['memory'], mountPoint: '/sys/fs/cgroup/memory', own: '/sys/fs/cgroup/memory/api/x:y' },
        { controllers: [], mountPoint: '/sys/fs/cgroup/systemd', own: '/sys/fs/cgroup/systemd/user' },
      ],
      unified: { controllers: [], mountPoint: '/sys/fs/cgroup/unified', own: '/sys/fs/cgroup/unified/init' },
    });
  });
  it('v2 in a container that sees its own part only', () => {
    const mountinfo = '40 30 0:30 /docker/abc /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw';
    expect(parseHierarchies(mountinfo, '0::/docker/abc/sub\n')).toEqual({
      v1: [],
      unified: { controllers: [], mountPoint: '/sys/fs/cgroup', own: '/sys/fs/cgroup/sub' },
    });
  });
  it('a mount point with a space', () => {
    const mountinfo = '40 30 0:30 / /odd\\040place rw - cgroup2 cgroup rw';
    expect(parseHierarchies(mountinfo, '0::/\n').unified?.mountPoint).toBe('/odd place');
  });
});

describe('cgroup: sweep', () => {
  it('removes what a dead process left, after a while, and nothing else', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tsbuild-sweep-'));
    const [mine, dead, foreign] = [groupName(), 'tsbuild-999999999-abc', 'user.slice'];
    for (const name of [mine, dead, foreign]) mkdirSync(join(directory, name));
    sweepGroups(directory, Date.now());
    expect(readdirSync(directory).toSorted()).toEqual([dead, foreign, mine].toSorted());
    sweepGroups(directory, Date.now() + 120_000);
    expect(readdirSync(directory).toSorted()).toEqual([foreign, mine].toSorted());
    rmSync(directory, { recursive: true });
  });
});
