import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolvConf } from '../../sandbox/rootfs.ts';
import { formatAddress, overlap, parseRoutes, parseSubnet } from '../../sandbox/subnet.ts';
import { buildDist } from '../support/build-dist.ts';
import {
  askOutside,
  awaitNoPairs,
  leaveOutside,
  makeOutside,
  networkSteps as steps,
  onHost,
} from '../support/network-host.ts';
import { describeWith } from '../support/requires.ts';

const uid = 61_234;

describe('subnets', () => {
  it('texts and numbers', () => {
    const subnet = parseSubnet('10.209.0.0/22');
    expect(subnet?.prefix).toBe(22);
    expect([0, 259].map((offset) => formatAddress((subnet?.base ?? 0) + offset))).toEqual(['10.209.0.0', '10.209.1.3']);
    for (const text of ['', '10.0.0.0', '10.0.0.256/8', '10.0.0.0/33']) expect(parseSubnet(text)).toBeUndefined();
  });
  it('routes: all but the default one, and what they have in common with a subnet', () => {
    const text =
      'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n' +
      'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\neth0\t000010AC\t00000000\t0001\t0\t0\t0\t0000F0FF\n';
    const routes = parseRoutes(text);
    expect(routes.map(({ base, prefix }) => `${formatAddress(base)}/${prefix}`)).toEqual(['172.16.0.0/12']);
    const inside = (range: string): boolean =>
      routes.some((route) => overlap(route, parseSubnet(range) ?? { base: 0, prefix: 0 }));
    expect([inside('172.30.208.0/22'), inside('172.32.0.0/22'), inside('10.0.0.0/8')]).toEqual([true, false, false]);
  });
});

describe('resolv.conf: in a network of its own', () => {
  const loopback = 'unreachable';
  it('keeps name servers of the network, not those of the loopback', () => {
    const host = 'search a.test\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\n';
    expect(resolvConf({ host, upstream: undefined, loopback })).toBe('search a.test\nnameserver 192.0.2.1\n');
  });
  it('takes those behind a local resolver, and the network’s own only where there is no other', () => {
    const host = 'nameserver 127.0.0.53\n';
    const nameServer = '10.0.2.3';
    expect(resolvConf({ host, upstream: 'nameserver 192.0.2.1\n', loopback, nameServer })).toBe(
      'nameserver 192.0.2.1\n',
    );
    expect(resolvConf({ host, upstream: undefined, loopback, nameServer })).toBe('nameserver 10.0.2.3\n');
  });
});

const nothingLeft = `${awaitNoPairs}; ip -o link | cut -d" " -f2; nft list ruleset`;

describeWith(['root', 'overlay', 'busybox', 'unshare', 'ip', 'nft', 'setpriv'], 'bridge', () => {
  let directory = '';
  beforeAll(async () => {
    await buildDist();
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-network-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('8 steps at once: each has an address of its own and reaches the host by host-gateway; nothing is left', async () => {
    const script = 'nc gate $PORT; ls /sys/class/net; grep made-up /etc/hosts';
    const { outcomes, lines } = await onHost(`${steps} ${directory} bridge 8 '${script}'; ${nothingLeft}`);
    const [outcome] = outcomes;
    expect(outcome?.notes).toEqual([]);
    expect(outcome?.steps.map((text) => text.replace(/^10\.209\.\d+\.\d+\n/, ''))).toEqual(
      Array.from({ length: 8 }, () => 'eth0\nlo\n192.0.2.7\tmade-up\n'),
    );
    expect(new Set(outcome?.steps.map((text) => text.split('\n')[0])).size).toBe(8);
    expect(lines).toEqual(['lo:']);
  });
  it('two builds at once: no address twice, and nothing is left', async () => {
    const one = `${steps} ${directory} bridge 4 'nc gate $PORT; sleep 1'`;
    const { outcomes, lines } = await onHost(`${one} & ${one} & wait; ${nothingLeft}`);
    expect(outcomes.map(({ notes }) => notes)).toEqual([[], []]);
    expect(new Set(outcomes.flatMap((outcome) => outcome.steps)).size).toBe(8);
    expect(lines).toEqual(['lo:']);
  });
  it('steps reach the outside under the host’s address, and not each other', async () => {
    const talk = [
      askOutside,
      'me=$(ifconfig eth0 | sed -n "s/.*inet addr:\\([0-9.]*\\).*/\\1/p")',
      // A neighbour that can be reached would refuse the connection.
      'for i in -4 4; do nc -w 1 ${me%.*}.$((${me##*.} + i)) 9 2>&1 < /dev/null | grep refused; done',
      'true',
    ].join('; ');
    const { outcomes, lines } = await onHost(
      `${makeOutside}\n${steps} ${directory} bridge 2 '${talk}'; ${leaveOutside}; ${nothingLeft}`,
    );
    expect(outcomes[0]?.steps).toEqual(['192.0.2.1\n', '192.0.2.1\n']);
    expect(lines).toEqual(['lo:']);
  });
  it('kill -9: the kernel removes what was left, and the next build works', async () => {
    const killed = `${steps} ${directory} bridge 1 'sleep 60' & until ip link | grep -q tsb[0-9]; do :; done; kill -9 $!; wait $! || true`;
    const { outcomes, lines } = await onHost(
      `{ ${killed}; } 2>/dev/null; ${nothingLeft}; ${steps} ${directory} bridge 1 'nc gate $PORT'; ${nothingLeft}`,
    );
    expect(outcomes[0]?.steps[0]).toMatch(/^10\.209\./);
    expect(lines).toEqual(['lo:', 'lo:']);
  });
  it('one step after another has the same network, but for one behind a step that left a connection', async () => {
    const address = 'ifconfig eth0 | grep inet.addr';
    const connection = 'nc -l -p 99 < /dev/null & until nc 127.0.0.1 99 < /dev/null 2>/dev/null; do :; done; wait';
    const { outcomes } = await onHost(
      `${steps} ${directory} bridge 3x '${address}'; ${steps} ${directory} bridge 3x '${address}; ${connection}'`,
    );
    expect(outcomes.map((outcome) => new Set(outcome.steps).size)).toEqual([1, 3]);
  });
  it('without forwarding, behind a firewall that drops, or without the capability: the host’s network, with one note', async () => {
    const run = `${steps} ${directory} bridge 2 'ls /sys/class/net'`;
    const drop = 'nft add table ip f; nft "add chain ip f c { type filter hook forward priority 0; policy drop; }"';
    const { outcomes } = await onHost(
      `echo 0 > /proc/sys/net/ipv4/ip_forward; ${run}; echo 1 > /proc/sys/net/ipv4/ip_forward; ${drop}; ${run}; setpriv --bounding-set=-net_admin ${run}`,
    );
    expect(outcomes.flatMap((outcome) => outcome.steps)).toEqual(Array(6).fill('lo\n'));
    expect(outcomes.map((outcome) => outcome.notes)).toEqual([
      [expect.stringContaining('ip_forward is off')],
      [expect.stringContaining('a firewall of this machine may drop')],
      [expect.stringContaining('CAP_NET_ADMIN')],
    ]);
  });
  it('where the kernel refuses user namespaces, as in a chroot: the host’s, with one note', async () => {
    const script = 'readlink /proc/self/ns/user; mknod /tmp/null c 1 3 && ls /tmp';
    const enter = `mkdir ${directory}/host; mount --rbind / ${directory}/host; chroot ${directory}/host`;
    const { outcomes, lines } = await onHost(
      `readlink /proc/self/ns/user; ${enter} ${steps} ${directory} bridge 2 '${script}'; umount -l ${directory}/host`,
    );
    expect(outcomes[0]?.steps).toEqual(Array(2).fill(`${lines[0]}\nnull\n`));
    expect(outcomes[0]?.notes).toEqual(['steps share the host’s user namespace: Operation not permitted']);
  });
});

describeWith(['root', 'overlay', 'busybox', 'unshare', 'slirp4netns'], 'slirp4netns', () => {
  let directory = '';
  beforeAll(async () => {
    await buildDist();
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-network-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('each step has a namespace of its own with a way out; the program ends with it', async () => {
    const { outcomes, lines } = await onHost(
      `${steps} ${directory} slirp4netns 3 'ifconfig eth0 | grep -c 10.0.2.100; grep -c "^eth0.00000000" /proc/net/route'; find /proc/[0-9]*/ns/net -lname "$(readlink /proc/self/ns/net)" 2>/dev/null | wc -l`,
    );
    expect(outcomes[0]?.steps).toEqual(['1\n1\n', '1\n1\n', '1\n1\n']);
    // The shell and find.
    expect(Number(lines[0])).toBeLessThanOrEqual(4);
  });
});

describeWith(['root', 'overlay', 'busybox', 'setpriv', 'ip', 'pasta', 'slirp4netns'], 'networks without root', () => {
  let directory = '';
  beforeAll(async () => {
    await buildDist();
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-network-'));
    await chown(directory, uid, uid);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  // Both programs copy what they find: the host of the test gets an interface with a default route.
  const setUp = [
    'ip link add uplink type veth peer name far; ip addr add 192.0.2.1/24 dev uplink',
    'ip link set dev uplink up; ip link set dev far up; ip route add default via 192.0.2.9',
    'mknod -m 666 /run/tun c 10 200; mount --bind /run/tun /dev/net/tun',
  ].join('; ');
  const become = `setpriv --reuid ${uid} --regid ${uid} --clear-groups`;
  it.each(['pasta', 'slirp4netns'])('%s: each step has a namespace of its own with a way out', async (driver) => {
    const script = 'ls /sys/class/net; grep -c "^eth0.00000000" /proc/net/route';
    const { outcomes } = await onHost(
      `${setUp}; cd /; ${become} ${steps} ${directory} ${driver} 3 '${script}' rootless`,
    );
    expect(outcomes[0]?.steps).toEqual(['eth0\nlo\n1\n', 'eth0\nlo\n1\n', 'eth0\nlo\n1\n']);
  });
  it('by default a step has pasta’s, and all eight namespaces are its own', async () => {
    const namespaces = 'for n in mnt pid uts ipc cgroup net user time; do readlink /proc/self/ns/$n; done';
    const { outcomes, lines } = await onHost(
      `${setUp}; ${namespaces}; cd /; ${become} ${steps} ${directory} auto 1 '${namespaces}; ls /sys/class/net' rootless`,
    );
    const inside = outcomes[0]?.steps[0]?.trimEnd().split('\n') ?? [];
    expect({ outside: lines.length, inside: inside.slice(-2) }).toEqual({ outside: 8, inside: ['eth0', 'lo'] });
    expect(inside.filter((line) => lines.includes(line))).toEqual([]);
    expect(outcomes[0]?.notes.filter((note) => note.includes('network'))).toEqual([]);
  });
  it('without /dev/net/tun: the host’s network, with a note that says how to get one', async () => {
    const { outcomes } = await onHost(
      `${setUp}; chmod 600 /run/tun; cd /; ${become} ${steps} ${directory} auto 2 'grep -c uplink: /proc/net/dev' rootless`,
    );
    expect(outcomes[0]?.steps).toEqual(['1\n', '1\n']);
    expect(outcomes[0]?.notes.filter((note) => note.includes('network'))).toEqual([
      expect.stringContaining('chmod 666 /dev/net/tun'),
    ]);
  });
});

describeWith(['root', 'overlay', 'busybox', 'ip', 'nft', 'slirp4netns', 'runsc'], 'networks of gVisor', () => {
  let directory = '';
  beforeAll(async () => {
    await buildDist();
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-network-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const uplink =
    'ip link add uplink type veth peer name far; ip addr add 192.0.2.1/24 dev uplink; ip link set dev uplink up;' +
    'ip link set dev far up; ip route add default via 192.0.2.9;';
  it.each([
    ['bridge', ''],
    ['slirp4netns', uplink],
  ])('%s: its own stack reaches the host, step after step', async (driver, setUp) => {
    const script = 'nc gate $PORT; ls /sys/class/net';
    const { outcomes } = await onHost(`${setUp} RUNTIME=runsc ${steps} ${directory} ${driver} 2x '${script}'`);
    expect(outcomes[0]?.notes).toEqual([]);
    expect(outcomes[0]?.steps).toEqual(Array(2).fill(expect.stringMatching(/^[0-9.]+\neth0\nlo\n$/)));
  });
});
