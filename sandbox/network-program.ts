import { networkInterfaces } from 'node:os';
import { NetworkNamespace } from './network-namespace.ts';
import type { NetworkDriver } from './network-pool.ts';
import type { NetworkPlan } from './network.ts';

/** What a network made by a program needs of its machine. */
export interface ProgramRequest {
  readonly helper: string;
  readonly users: NetworkPlan['users'];
  /** The program's. */
  readonly path: string;
  /** Whether a name server answers that is not on the host's loopback. */
  readonly nameServers: 'reachable' | 'loopback-only';
}

/** Where the helper gives the program the namespace (sandbox/native/network.c). */
const namespace = '/proc/self/fd/4';

/** Beyond names, each program is told the same: no port of the host is forwarded, and the host's loopback stays out of reach. */
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
    '--netns',
    namespace,
  ],
} as const;

const pastaNameServer = '169.254.1.1';

/** A network that a program in user space makes: it needs no privilege on the host. */
export function programNetwork(name: keyof typeof argumentsOf, request: ProgramRequest): NetworkDriver {
  const names = namesBy(name, request.nameServers);
  const commands = [['network-program', request.path, ...names.arguments, ...argumentsOf[name]]] as const;
  const plan = { ...names.plan, hostAddress: outwardAddress() };
  const { helper, users } = request;
  return { name, make: () => NetworkNamespace.make({ helper, users, commands, plan }) };
}

/** pasta answers for the host's name server under the address that it is told, and then under no other: it is told only where that is needed. */
function namesBy(
  name: keyof typeof argumentsOf,
  nameServers: ProgramRequest['nameServers'],
): { readonly arguments: readonly string[]; readonly plan: Pick<NetworkPlan, 'nameServer'> } {
  if (name === 'slirp4netns') return { arguments: [], plan: { nameServer: '10.0.2.3' } };
  if (nameServers === 'reachable') return { arguments: [], plan: {} };
  return { arguments: [`--dns-forward=${pastaNameServer}`], plan: { nameServer: pastaNameServer } };
}

/** An address of the host that is not its loopback's: slirp4netns connects to it. A step on pasta has the same address itself and does not reach the host. */
function outwardAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}
