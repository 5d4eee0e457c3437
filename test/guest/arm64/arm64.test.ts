import { beforeAll, describe, expect, it } from 'vitest';
import { CgroupV2 } from '../../../sandbox/cgroup-v2.ts';
import type { HelperProgram } from '../../../sandbox/helper-program.ts';
import type { HelperRecord } from '../../../sandbox/helper-record.ts';
import { hostNetwork } from '../../../sandbox/network.ts';
import { seccompFilter } from '../../../sandbox/seccomp.ts';
import { toStepProgram } from '../../../sandbox/step-program.ts';
import { defaultCapabilities } from '../../../solver/runtime-spec.ts';
import type { RuntimeSpec } from '../../../src/core/executor.ts';
import { describeWith } from '../../support/requires.ts';
import { runArmPrograms } from './run-programs.ts';

const probe = new URL('../../sandbox/fixtures/probe.c', import.meta.url).pathname;
const tools = {
  probe: { source: probe, compiler: 'aarch64-linux-gnu-gcc' },
  'probe-32': { source: probe, compiler: 'arm-linux-gnueabihf-gcc' },
};

const refused =
  'unshare-user unshare-mount clone-user mount fsopen open_tree keyctl add_key bpf perf_event_open userfaultfd io_uring_setup kexec_load init_module ' +
  'setns pivot_root swapon reboot settimeofday open_by_handle_at sethostname personality-no-randomize';
const synced = 'fsync-bad-descriptor fdatasync-bad-descriptor syncfs-bad-descriptor';

const needs = ['root', 'busybox', 'qemu-system-aarch64', 'aarch64-linux-gnu-gcc', 'arm-linux-gnueabihf-gcc'];

describeWith(needs, 'a step on 64-bit Arm', () => {
  let told: ReadonlyMap<string, readonly HelperRecord[]> = new Map();
  beforeAll(async () => {
    const programs = {
      about: armStep('about', ['/bin/sh', '-c', 'uname -m; id -u; cat /sys/fs/cgroup/memory.max; exit 3']),
      refused: armStep('refused', ['/bin/probe', ...refused.split(' '), 'clone3']),
      'refused-32': armStep('refused-32', ['/bin/probe-32', ...refused.split(' '), 'clone3']),
      synced: armStep('synced', ['/bin/probe', ...synced.split(' '), 'msync-sync-unmapped', 'msync-async-unmapped']),
      allowed: armStep('allowed', ['/bin/probe', 'socket-inet', 'personality-query', 'chroot']),
      'allowed-32': armStep('allowed-32', ['/bin/probe-32', 'socket-inet', 'personality-query', 'chroot']),
      unconfined: armStep('unconfined', ['/bin/probe', 'mount', 'unshare-mount', 'sethostname'], 'unconfined'),
    };
    told = await runArmPrograms(programs, tools);
  }, 300_000);
  const outputOf = (name: string): string =>
    (told.get(name) ?? [])
      .flatMap((each) => (each.type === 'output' ? [Buffer.from(each.chunk).toString()] : []))
      .join('');

  it('runs, in a cgroup of its own, and tells how it ended', () => {
    expect(outputOf('about')).toBe('aarch64\n0\n67108864\n');
    expect(told.get('about')?.find(({ type }) => type === 'ended')).toMatchObject({ status: 3 << 8 });
    expect(told.get('about')?.filter(({ type }) => type === 'failed' || type === 'note')).toEqual([]);
  });
  describe.each(['', '-32'])('seccomp%s', (bits) => {
    it('refuses what Docker refuses', () => {
      const lines = refused.split(' ').map((each) => `${each}: errno 1\n`);
      expect(outputOf(`refused${bits}`)).toBe(`${lines.join('')}clone3: errno 38\n`);
    });
    it('allows what Docker allows', () =>
      expect(outputOf(`allowed${bits}`)).toBe('socket-inet: ok\npersonality-query: ok\nchroot: ok\n'));
  });
  it('answers fsync, but not msync(MS_ASYNC)', () => {
    const lines = [...synced.split(' '), 'msync-sync-unmapped'].map((each) => `${each}: ok\n`);
    expect(outputOf('synced')).toBe(`${lines.join('')}msync-async-unmapped: errno 12\n`);
  });
  it('refuses nothing unconfined', () =>
    expect(outputOf('unconfined')).toBe('mount: ok\nunshare-mount: ok\nsethostname: ok\n'));
});

/** The program of a step as an executor makes it, for a machine with cgroups of version 2 and the filter of that architecture. */
function armStep(
  name: string,
  args: readonly string[],
  confinement: RuntimeSpec['confinement'] = 'default',
): HelperProgram {
  const capabilities = confinement === 'unconfined' ? 'all' : defaultCapabilities;
  const spec: RuntimeSpec = {
    process: {
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [0], home: '/' },
      umask: 0o022,
      capabilities,
      rlimits: [],
    },
    root: { type: 'overlay', lower: ['/lower'], upper: `/${name}-upper`, work: `/${name}-work`, xattrs: 'trusted' },
    hostname: 'arm',
    mounts: [],
    extraHosts: [],
    network: 'host',
    confinement,
    shmSizeBytes: 1 << 20,
    resources: { memoryBytes: 64 << 20 },
  };
  const top = '/sys/fs/cgroup';
  const cgroups = new CgroupV2({ controllers: [], mountPoint: top, own: top }, top);
  return toStepProgram(spec, {
    scratch: '/scratch',
    cgroup: cgroups.plan(spec),
    network: hostNetwork,
    files: { hosts: '127.0.0.1 localhost\n', resolvConf: '' },
    view: [],
    seccomp: seccompFilter({ confinement, capabilities, sync: 'suppress', deviceNodes: 'kernel', arch: 'arm64' }),
    userNamespace: 'initial',
  });
}
