import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, messageOf } from '../src/core/error.ts';
import { tryLock, type FileLock } from './file-lock.ts';
import { dockerChain, pairPrefix, pairTable } from './firewall.ts';
import { readForwarding } from './forwarding.ts';
import { lookupText } from './lookup-text.ts';
import { makeDirectory } from './make-directory.ts';
import { NetworkNamespace } from './network-namespace.ts';
import type { NetworkDriver } from './network-pool.ts';
import type { NetworkPlan } from './network.ts';
import {
  defaultInterface,
  formatAddress,
  overlap,
  parseRoutes,
  parseSubnet,
  subnetSize,
  type Subnet,
} from './subnet.ts';

/** What a bridge needs of its machine. */
export interface BridgeRequest {
  readonly helper: string;
  readonly users: NetworkPlan['users'];
  /** Path of nft; without it there is a bridge only where no table of nftables is. */
  readonly nft: string | undefined;
  /** For leases, shared by all builds of this machine; does not outlive it. Usually /run/tsbuild. */
  readonly directory: string;
}

const candidates = ['10.209.0.0/22', '10.217.0.0/22', '172.30.208.0/22', '172.22.208.0/22', '192.168.208.0/22'];
/** A pair has a subnet of four addresses: its own, the host's end, the step's end, and that for all. */
const pairSize = 4;

/**
 * The network that Docker calls a bridge: steps have addresses of their own behind NAT. It is routed, not bridged: each namespace has a pair of
 * interfaces and a table of nftables to itself, which the kernel removes with its keeper, so that builds share nothing but the choice of addresses.
 * @returns the driver, or why it would not lead outside.
 */
export async function openBridge(request: BridgeRequest): Promise<NetworkDriver | string> {
  const routes = readFileSync('/proc/net/route', 'utf8');
  const uplink = defaultInterface(routes);
  const forwarding = await readForwarding(request.nft, uplink);
  if (forwarding.kind === 'blocked') return forwarding.why;
  const subnet = freeSubnet(routes);
  if (subnet === undefined) return `all of ${candidates.join(', ')} are in use`;
  if (uplink === undefined && hasIpv6Route()) return 'the host reaches the outside by IPv6 only';
  const mtu = readMtu(uplink);
  const addresses = new AddressPool(request.directory, subnet);
  const { table, name } = dockerChain;
  const overruled = forwarding.kind === 'docker-policy' ? [table, name, uplink ?? ''] : [];
  return {
    name: 'bridge',
    make: async () => {
      const lease = addresses.lease();
      return typeof lease === 'string' ? lease : makeNamespace(request, { lease, mtu, overruled });
    },
  };
}

interface Pair {
  readonly lease: Lease;
  readonly mtu: string;
  /** A foreign chain whose policy is overruled, and the interface that leads outside; empty where none has to be. */
  readonly overruled: readonly string[];
}

async function makeNamespace(
  { helper, users }: BridgeRequest,
  { lease, mtu, overruled }: Pair,
): Promise<NetworkNamespace | string> {
  const gateway = formatAddress(lease.base + 1);
  const address = formatAddress(lease.base + 2);
  const name = `${pairPrefix}${lease.base.toString(16).padStart(8, '0')}`;
  return NetworkNamespace.make({
    helper,
    users,
    commands: [
      ['network-nat', pairTable(name), name, address, ...overruled],
      ['network-pair', name, `${address}/30`, gateway, mtu],
    ],
    plan: { hostAddress: gateway },
    release: () => lease.lock[Symbol.dispose](),
  });
}

interface Lease {
  readonly base: number;
  readonly lock: FileLock;
}

/** The subnets of pairs. A lease is a locked file: the kernel gives back those of killed builds. */
class AddressPool {
  readonly #directory: string;
  readonly #subnet: Subnet;
  #next: number;

  constructor(directory: string, subnet: Subnet) {
    this.#directory = join(directory, `leases-${readlinkSync('/proc/self/ns/net').replaceAll(/\D/g, '')}`);
    this.#subnet = subnet;
    // Builds begin at different places, so that they seldom try what another one holds.
    this.#next = Math.trunc(Math.random() * this.#size);
  }

  lease(): Lease | string {
    try {
      makeDirectory(this.#directory, { mode: 0o700 });
      for (let tried = 0; tried < this.#size; tried++) {
        const base = this.#subnet.base + pairSize * (this.#next++ % this.#size);
        const path = join(this.#directory, formatAddress(base));
        writeFileSync(path, '', { flag: 'a', mode: 0o600 });
        const lock = tryLock(path, 'exclusive');
        if (lock !== undefined) return { base, lock };
      }
      return 'all addresses are in use';
    } catch (error) {
      if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) return messageOf(error);
      throw error;
    }
  }

  get #size(): number {
    return subnetSize(this.#subnet) / pairSize;
  }
}

/** One that no route of the host leads to, but for those of other builds. */
function freeSubnet(routes: string): Subnet | undefined {
  const taken = parseRoutes(routes).filter((route) => !route.interface.startsWith(pairPrefix));
  const subnets = candidates.flatMap((text) => parseSubnet(text) ?? []);
  return subnets.find((subnet) => !taken.some((route) => overlap(route, subnet)));
}

function hasIpv6Route(): boolean {
  const lines = (lookupText('/proc/net/ipv6_route') ?? '').split('\n');
  return lines.some((line) => /^0{32} 00 /.test(line) && !line.endsWith(' lo'));
}

/** What fits into a packet on the way outside; Ethernet's where that is not told: /sys may show the interfaces of another network. */
function readMtu(uplink: string | undefined): string {
  const told = uplink === undefined ? undefined : lookupText(`/sys/class/net/${uplink}/mtu`);
  return told?.trim() ?? '1500';
}
