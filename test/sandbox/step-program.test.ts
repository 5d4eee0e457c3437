import { describe, expect, it } from 'vitest';
import type { RuntimeMount } from '../../src/core/executor.ts';
import { defaultCapabilities } from '../../solver/runtime-spec.ts';
import { capabilityMask } from '../../sandbox/capability-sets.ts';
import { withoutCgroups } from '../../sandbox/cgroup.ts';
import { encodeStart, encodeStep, formatProgram, type HelperProgram } from '../../sandbox/helper-program.ts';
import { HelperRecordReader } from '../../sandbox/helper-record.ts';
import type { NetworkPlan } from '../../sandbox/network.ts';
import { rlimitNumber, rlimitType, rlimitValue } from '../../sandbox/rlimits.ts';
import { hostsFile, resolvConf } from '../../sandbox/rootfs.ts';
import { toStepProgram } from '../../sandbox/step-program.ts';
import { openStepRig } from '../support/step-rig.ts';

const network: NetworkPlan = {
  namespace: 'own',
  users: 'own',
  join: [['network-join', '/proc/7/ns/net']],
  loopback: 'unreachable',
  hostAddress: '127.0.0.1',
};

async function programFor(mounts: readonly RuntimeMount[]): Promise<HelperProgram> {
  await using rig = await openStepRig();
  const spec = rig.spec(['true'], { mounts });
  return toStepProgram(spec, {
    scratch: '/scratch',
    cgroup: withoutCgroups.plan(spec),
    network,
    files: { hosts: 'hosts', resolvConf: 'resolv' },
    view: [],
    seccomp: Uint8Array.of(1, 2, 3),
    userNamespace: 'initial',
  });
}

describe('step program', () => {
  it('order: the host’s side, root, masks before what others may change, privileges last', async () => {
    const { step } = await programFor([{ type: 'tmpfs', destination: '/theirs', mode: 0o755 }]);
    const at = (name: string, argument?: string): number => {
      const index = step.findIndex(
        (command) => command[0] === name && (argument === undefined || command.includes(argument)),
      );
      expect(index, `${name} ${argument}`).toBeGreaterThanOrEqual(0);
      return index;
    };
    const before = [at('private'), at('scratch'), at('overlay'), at('root')];
    const mounted = [at('attach', '/proc'), at('mask', '/proc/kcore'), at('attach', '/theirs'), at('ready'), at('cwd')];
    const order = [
      ...before,
      ...mounted,
      at('join-users'),
      at('bounding'),
      at('user'),
      at('seccomp'),
      at('capabilities'),
      at('exec'),
    ];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(at('exec')).toBe(step.length - 1);
  });
  it('printed: a command a line, secrets by size only', async () => {
    const data = Buffer.from('hunter2');
    const text = formatProgram(
      await programFor([{ type: 'file', destination: '/s', data, mode: 0o400, uid: 1, gid: 2 }]),
    );
    expect(text).toMatch(
      /^spawn "mount,pid,uts,ipc,time" ""\n {2}network-join "\/proc\/7\/ns\/net"\n {2}unshare-cgroup\n {2}private\n/,
    );
    expect(text).toMatch(/file "\d+" "ro,nosuid,nodev" "400" "1" "2" <7 bytes>/);
    expect(text).not.toContain('hunter2');
  });
  it('encoded: sizes before everything, a NUL behind every string', () => {
    const keeper = [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 97, 0, 0, 0, 0, 0, 0];
    const step = [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 98, 99, 0];
    const none = [4, 0, 0, 0, 0, 0, 0, 0];
    expect([...encodeStart({ keeper: [['a', '']], prelude: [] })]).toEqual([
      keeper.length,
      0,
      0,
      0,
      ...keeper,
      ...none,
    ]);
    expect([...encodeStep([['bc']])]).toEqual([step.length, 0, 0, 0, ...step]);
  });
});

function record(type: string, payload: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32LE(Buffer.byteLength(payload), 1);
  return Buffer.concat([head, Buffer.from(payload)]);
}

describe('helper records', () => {
  it.each([1, 2, 7, 1000])('come whole out of pieces of %i bytes', (size) => {
    const bytes = Buffer.concat([
      record('o', 'text'),
      record('r', 'key\0value\n'),
      record('f', 'exec\u0001sh\u00012\u0001why'),
      record('x', '256 1500 9 2 8'),
      record('d', 'again'),
    ]);
    const reader = new HelperRecordReader();
    const records = [];
    for (let at = 0; at < bytes.length; at += size) records.push(...reader.push(bytes.subarray(at, at + size)));
    expect(records).toEqual([
      { type: 'output', stream: 'stdout', chunk: Buffer.from('text') },
      { type: 'reading', key: 'key', text: 'value\n' },
      { type: 'failed', failure: { command: 'exec', subject: 'sh', errno: 2, detail: 'why' } },
      { type: 'ended', status: 256, cpuUs: 1500, maxRssKib: 9, ioReadBytes: 1024, ioWriteBytes: 4096 },
      { type: 'done', next: 'again' },
    ]);
  });
});

describe('what a step sees', () => {
  it('capabilities: the mask is Docker’s', () => {
    expect(capabilityMask(defaultCapabilities).toString(16)).toBe('a80425fb');
    expect(capabilityMask('all').toString(16)).toBe('1ffffffffff');
    expect(capabilityMask(['CAP_UNHEARD_OF'])).toBe(0n);
  });
  it('rlimits: by both kinds of names', () => {
    expect([rlimitNumber('nofile'), rlimitNumber('RLIMIT_NOFILE'), rlimitNumber('nonsense')]).toEqual([
      7,
      7,
      undefined,
    ]);
    expect([rlimitType('nofile'), rlimitType('RLIMIT_CORE')]).toEqual(['RLIMIT_NOFILE', 'RLIMIT_CORE']);
    expect([rlimitValue(5), rlimitValue(-1)]).toEqual(['5', '18446744073709551615']);
  });
  it('/etc/hosts: the step’s own name, then the extra ones', () => {
    expect(hostsFile('box', [{ host: 'db', address: '10.0.0.1' }])).toBe(
      '127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tdb\n',
    );
  });
  it('/etc/resolv.conf: name servers on the loopback are replaced where they cannot be reached', () => {
    const host = 'nameserver 127.0.0.53\noptions edns0\n';
    const upstream = 'nameserver 192.0.2.1\nnameserver ::1\n';
    expect(resolvConf({ host, upstream, loopback: 'reachable' })).toBe(host);
    expect(resolvConf({ host, upstream, loopback: 'unreachable' })).toBe('nameserver 192.0.2.1\n');
    expect(resolvConf({ host, upstream: undefined, loopback: 'unreachable' })).toBe('options edns0\n');
    const mixed = 'nameserver 127.0.0.1\nnameserver 192.0.2.9\n';
    expect(resolvConf({ host: mixed, upstream, loopback: 'unreachable' })).toBe('nameserver 192.0.2.9\n');
  });
});
