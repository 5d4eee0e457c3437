import { networkInterfaces } from 'node:os';
import type { NetworkDriver } from './network.ts';

/** Where the helper gives the program the step's namespace (sandbox/native/network.c). */
const namespace = '/proc/self/fd/4';

/** What each program is told: no port of the host is forwarded, and the host's loopback stays out of reach. */
const argumentsOf = {
  slirp4netns: ['--configure', '--mtu=65520', '--disable-host-loopback', '--netns-type=path', namespace, 'eth0'],
  pasta: [
    '--foreground',
    '--quiet',
    '--config-net',
    '--ns-ifname=eth0',
    '--no-map-gw',
    '--tcp-ports=none',
    '--udp-ports=none',
    '--tcp-ns=none',
    '--udp-ns=none',
    '--dns-forward=169.254.1.1',
    '--netns',
    namespace,
  ],
} as const;

const nameServers = { slirp4netns: '10.0.2.3', pasta: '169.254.1.1' } as const;

/** A network that a program in user space makes for each step: it needs no privilege on the host. `path` is the program's. */
export function programNetwork(name: keyof typeof argumentsOf, path: string): NetworkDriver {
  const hostAddress = outwardAddress();
  return {
    name,
    plan: () => ({
      namespace: 'own',
      born: [],
      before: [['network-start', path, ...argumentsOf[name]]],
      prelude: [['network-join']],
      after: [['network-end']],
      loopback: 'unreachable',
      nameServer: nameServers[name],
      hostAddress,
      release: () => undefined,
    }),
  };
}

/** An address of the host that is not its loopback's: slirp4netns connects to it. A step on pasta has the same address itself and does not reach the host. */
function outwardAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}
