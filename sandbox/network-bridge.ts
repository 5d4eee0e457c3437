import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BuildError, isErrno, messageOf } from '../src/core/error.ts';
import { tryLock, type FileLock } from './file-lock.ts';
import type { HelperCommand } from './helper-program.ts';
import { HelperProcess } from './helper-process.ts';
import type { NetworkDriver, NetworkPlan } from './network.ts';
import { formatAddress, formatSubnet, overlap, parseRoutes, parseSubnet, subnetSize, type Subnet } from './subnet.ts';

/** What a bridge needs of its machine. */
export interface BridgeRequest {
  readonly helper: string;
  /** Path of nft. */
  readonly nft: string;
  /** For locks and leases, shared by all builds of this machine; does not outlive it. Usually /run/tsbuild. */
  readonly directory: string;
}

const bridge = 'tsbuild0';
const table = 'tsbuild';
const candidates = ['10.209.0.0/22', '10.217.0.0/22', '172.30.208.0/22', '172.22.208.0/22', '192.168.208.0/22'];
const lockPatienceMs = 30_000;

/**
 * Opens the bridge that all builds of this network namespace share; the first one makes it, the last one removes it. What killed builds
 * have left is known by nobody holding its lock, and made anew.
 * @returns the network, or why there is none.
 */
export async function openBridgeNetwork(request: BridgeRequest): Promise<BridgeNetwork | string> {
  if (readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim() !== '1') {
    return 'net.ipv4.ip_forward is off (sysctl -w net.ipv4.ip_forward=1)';
  }
  try {
    return await BridgeNetwork.open(request);
  } catch (error) {
    if (error instanceof BridgeProblem) return error.message;
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) return messageOf(error);
    throw error;
  }
}

class BridgeProblem extends Error {}

/** Steps on a bridge: each has an address of its own, reaches the outside by NAT and the host by the bridge's address, and no other step. */
export class BridgeNetwork implements NetworkDriver, AsyncDisposable {
  readonly name = 'bridge';
  readonly #request: BridgeRequest;
  readonly #directory: string;
  readonly #subnet: Subnet;
  readonly #users: FileLock;
  #next: number;

  private constructor(request: BridgeRequest, o: { directory: string; subnet: Subnet; users: FileLock }) {
    this.#request = request;
    this.#directory = o.directory;
    this.#subnet = o.subnet;
    this.#users = o.users;
    // Builds begin at different places, so that they seldom try what another one holds.
    this.#next = Math.trunc(Math.random() * subnetSize(o.subnet));
  }

  static async open(request: BridgeRequest): Promise<BridgeNetwork> {
    const namespace = readlinkSync('/proc/self/ns/net').replace(/\D/g, '');
    const directory = join(request.directory, `bridge-${namespace}`);
    mkdirSync(join(directory, 'leases'), { recursive: true, mode: 0o700 });
    using setup = new DisposableStack();
    setup.use(await lock(directory, 'setup'));
    const alone = tryLock(touch(directory, 'users'), 'exclusive');
    if (alone !== undefined) {
      await remove(request, directory);
      await make(request, directory);
      alone[Symbol.dispose]();
    }
    const users = tryLock(join(directory, 'users'), 'shared');
    const subnet = parseSubnet(readFileSync(join(directory, 'subnet'), 'utf8'));
    if (users === undefined || subnet === undefined) throw new BridgeProblem(`${directory} is damaged`);
    return new BridgeNetwork(request, { directory, subnet, users });
  }

  plan(): NetworkPlan {
    const lease = this.#lease();
    const { base, prefix } = this.#subnet;
    const gateway = formatAddress(base + 1);
    const address = formatAddress(base + lease.number);
    return {
      namespace: 'own',
      born: [],
      before: [],
      prelude: [['bridge-join', bridge, `tsb${lease.number}`, `${address}/${prefix}`, gateway]],
      after: [],
      loopback: 'unreachable',
      hostAddress: gateway,
      release: () => lease.lock[Symbol.dispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using setup = new DisposableStack();
    setup.use(await lock(this.#directory, 'setup'));
    this.#users[Symbol.dispose]();
    using alone = tryLock(join(this.#directory, 'users'), 'exclusive');
    if (alone !== undefined) await remove(this.#request, this.#directory);
  }

  /** The next free address, counted from the subnet's first: never that, the bridge's own or the last. */
  #lease(): { readonly number: number; readonly lock: FileLock } {
    const usable = subnetSize(this.#subnet) - 3;
    for (let tried = 0; tried < usable; tried++) {
      const number = 2 + (this.#next++ % usable);
      const lease = tryLock(touch(join(this.#directory, 'leases'), String(number)), 'exclusive');
      if (lease !== undefined) return { number, lock: lease };
    }
    throw new BuildError('SANDBOX_FAILED', { step: 'find an address for the step', reason: 'all are in use' });
  }
}

/** An empty file, made where it is not there. */
function touch(directory: string, name: string): string {
  const path = join(directory, name);
  writeFileSync(path, '', { flag: 'a', mode: 0o600 });
  return path;
}

async function lock(directory: string, name: string): Promise<FileLock> {
  const path = touch(directory, name);
  for (const end = performance.now() + lockPatienceMs; performance.now() < end; await delay(5)) {
    const taken = tryLock(path, 'exclusive');
    if (taken !== undefined) return taken;
  }
  throw new BridgeProblem(`${path} is held by another build`);
}

async function make(request: BridgeRequest, directory: string): Promise<void> {
  const subnet = freeSubnet();
  await refuseToBeDropped(request.nft);
  await runKeeper(request.helper, [['bridge-add', bridge, `${formatAddress(subnet.base + 1)}/${subnet.prefix}`]]);
  try {
    await runNft(request.nft, natRules(subnet));
  } catch (error) {
    await remove(request, directory);
    throw error;
  }
  writeFileSync(join(directory, 'subnet'), formatSubnet(subnet));
}

async function remove({ helper, nft }: BridgeRequest, directory: string): Promise<void> {
  rmSync(join(directory, 'subnet'), { force: true });
  // The first line makes the table where it is not there, so that the second one succeeds in any case.
  await Promise.all([
    runKeeper(helper, [['bridge-remove', bridge]]),
    runNft(nft, `table ip ${table}\ndelete table ip ${table}\n`),
  ]);
}

function natRules(subnet: Subnet): string {
  return `table ip ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${formatSubnet(subnet)} oifname != "${bridge}" masquerade
  }
}
`;
}

function freeSubnet(): Subnet {
  const routes = parseRoutes(readFileSync('/proc/net/route', 'utf8'));
  const subnets = candidates.flatMap((text) => parseSubnet(text) ?? []);
  const free = subnets.find((subnet) => !routes.some((route) => overlap(route, subnet)));
  if (free === undefined) throw new BridgeProblem(`all of ${candidates.join(', ')} are in use`);
  return free;
}

/** A firewall that forwards nothing by default would forward nothing of ours; rules of our own cannot overrule it. */
async function refuseToBeDropped(nft: string): Promise<void> {
  const chains = await runNft(nft, 'list chains\n');
  const dropping = /hook forward priority [^;]*; policy drop;/.exec(chains);
  if (dropping !== null) throw new BridgeProblem('a firewall of this machine drops what is forwarded');
}

async function runNft(nft: string, script: string): Promise<string> {
  const running = promisify(execFile)(nft, ['-f', '-'], { env: {} });
  running.child.stdin?.end(script);
  try {
    return (await running).stdout;
  } catch (error) {
    throw new BridgeProblem(messageOf(error).trim().replaceAll('\n', '; '), { cause: error });
  }
}

/** Runs commands on the host. */
async function runKeeper(helper: string, keeper: readonly HelperCommand[]): Promise<void> {
  const { failure } = await HelperProcess.start(helper, { keeper, prelude: [] }).run([], {
    output: () => undefined,
    signal: undefined,
  });
  if (failure !== undefined) throw new BridgeProblem(`${failure.command} ${failure.subject}: errno ${failure.errno}`);
}
