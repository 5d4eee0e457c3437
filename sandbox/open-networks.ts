import { closeSync, constants, openSync } from 'node:fs';
import { BuildError, isErrno } from '../src/core/error.ts';
import type { ExpectedProgram, RuntimeSpec } from '../src/core/executor.ts';
import { capabilityMask } from './capability-sets.ts';
import { findProgram } from './find-program.ts';
import { nameServerReach } from './name-files.ts';
import { openBridge } from './network-bridge.ts';
import { NetworkPool, type NetworkDriver, type TakenNetwork } from './network-pool.ts';
import { programNetwork } from './network-program.ts';
import { NetworkNamespace } from './network-namespace.ts';
import { hostNetwork, type NetworkPlan } from './network.ts';
import { loopbackProxy } from './loopback-proxy.ts';
import { ownCapabilities } from './own-capabilities.ts';
import { insideUserNamespace } from './user-namespace.ts';

/** Names of the networks that lead outside. `auto` is the first that works of those that isolate, else the host's. */
export type NetworkDriverName = 'auto' | 'host' | OutsideDriverName;

type OutsideDriverName = Exclude<NetworkDriver['name'], 'none'>;

/** What decides between networks. */
export interface NetworksRequest {
  readonly driver: NetworkDriverName;
  readonly helper: string;
  /** Whether networks are to have user namespaces of their own. */
  readonly users: NetworkPlan['users'];
  /** For what bridges have in common; absent: /run/tsbuild. */
  readonly directory?: string;
  /** Told why steps share the host's network or user namespace although they were to have one of their own. */
  readonly notes: (text: string) => void;
}

/** What of a step decides about its network. */
type NetworkUse = ExpectedProgram & { readonly process: Pick<RuntimeSpec['process'], 'capabilities'> };

/** The networks of one executor, opened by the first step that needs one. */
export class Networks implements AsyncDisposable {
  readonly #request: NetworksRequest;
  readonly #pools = new Map<'none' | 'outside', Promise<NetworkPool | string>>();

  constructor(request: NetworksRequest) {
    this.#request = request;
  }

  /** Begins to make what a step like this will need, beside whatever else has to be done for it. */
  prepare(spec: ExpectedProgram): void {
    const choice = this.#choose(spec);
    // What cannot be opened is told to the step that takes it.
    if (typeof choice === 'string') this.#open(choice).catch(() => undefined);
  }

  /**
   * A network for one step; `taken`: what runs the step takes the addresses away from it.
   * @throws SANDBOX_FAILED where none can be made although the first one could
   */
  async take(spec: NetworkUse, addresses: 'kept' | 'taken' = 'kept'): Promise<TakenNetwork> {
    const choice = this.#choose(spec);
    if (typeof choice === 'object') return this.#share(choice);
    const pool = await this.#open(choice);
    if (typeof pool === 'string') {
      if (choice === 'none') throw new BuildError('SANDBOX_FAILED', { step: 'make a network', reason: pool });
      return this.#share({ note: `${this.#request.driver} does not work here: ${pool}` });
    }
    const taken = await pool.take(addresses === 'taken' || spec.process.capabilities === 'all' ? 'once' : 'again');
    if (taken.note !== undefined) this.#request.notes(taken.note);
    return taken;
  }

  /** Whose user namespace the network of a step is going to belong to, as far as can be known before it is there. */
  likelyUsers(spec: ExpectedProgram): NetworkPlan['users'] {
    return typeof this.#choose(spec) === 'string' ? this.#request.users : 'ours';
  }

  /** What steps with the default network get, and why; and whether user namespaces of their own with it. */
  async describe(): Promise<{ readonly choice: string; readonly why: string; readonly users: UsersChoice }> {
    const { driver, users } = this.#request;
    const shared = { choice: 'initial', why: 'steps share the host’s network' } as const;
    if (driver === 'host') return { choice: 'host', why: 'as asked for', users: shared };
    const outside = await this.#open('outside');
    if (typeof outside === 'string') return { choice: 'host', why: outside, users: shared };
    const why = driver === 'auto' ? 'steps have a network of their own that leads outside' : 'as asked for';
    return { choice: outside.driver, why, users: describeUsers(users, outside.usersRefused) };
  }

  /** Begins to end the namespaces that no step uses. */
  rest(): void {
    for (const pool of this.#pools.values()) {
      // What could not be opened was told to the step that needed it.
      void pool.then((opened) => typeof opened === 'object' && opened.rest()).catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ending = [...this.#pools.values()].map(async (pool) => {
      // What could not be opened was told to the step that needed it.
      const opened = await pool.catch(() => undefined);
      if (typeof opened === 'object') await opened[Symbol.asyncDispose]();
    });
    await Promise.all(ending);
  }

  #open(kind: 'none' | 'outside'): Promise<NetworkPool | string> {
    const known = this.#pools.get(kind);
    if (known !== undefined) return known;
    const opening = kind === 'none' ? NetworkPool.open(loopbackNetwork(this.#request)) : openOutside(this.#request);
    this.#pools.set(kind, opening);
    return opening;
  }

  /** Which pool serves a step; where it gets the host's network instead, why, unless that was asked for. */
  #choose({ network, process: { env } }: ExpectedProgram): 'none' | 'outside' | { readonly note?: string } {
    if (network === 'none') return 'none';
    const { driver } = this.#request;
    if (network === 'host' || driver === 'host') return {};
    const proxy = driver === 'auto' ? loopbackProxy(env) : undefined;
    return proxy === undefined ? 'outside' : { note: `${proxy} names a proxy on its loopback` };
  }

  #share({ note }: { readonly note?: string }): TakenNetwork {
    if (note !== undefined) this.#request.notes(`steps share the host’s network: ${note}`);
    return { plan: hostNetwork, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
}

/** Whose user namespace steps are in, where the builder is root. */
interface UsersChoice {
  readonly choice: 'own' | 'initial';
  readonly why: string;
}

function describeUsers(users: NetworkPlan['users'], refused: string | undefined): UsersChoice {
  if (users === 'ours') return { choice: 'initial', why: 'a runtime’s steps are in ours, as Docker’s are' };
  if (refused !== undefined) return { choice: 'initial', why: `the kernel gives us no other: ${refused}` };
  return { choice: 'own', why: 'a step gets one with its network' };
}

/** A loopback interface, and nothing else. */
function loopbackNetwork({ helper, users }: NetworksRequest): NetworkDriver {
  const commands = [['network-loopback']] as const;
  const plan = { hostAddress: '127.0.0.1' };
  return { name: 'none', make: () => NetworkNamespace.make({ helper, users, commands, plan }) };
}

/** The first driver that works, or why none does. */
async function openOutside(request: NetworksRequest): Promise<NetworkPool | string> {
  if ((ownCapabilities() & netAdmin) === 0n)
    return 'it needs the capability CAP_NET_ADMIN, which tsbuild does not have';
  const reasons: string[] = [];
  for (const name of driversOf(request.driver)) {
    const driver = await openDriver(name, request);
    const pool = typeof driver === 'string' ? driver : await NetworkPool.open(driver);
    if (typeof pool !== 'string') return pool;
    reasons.push(request.driver === 'auto' ? `${name}: ${pool}` : pool);
  }
  return reasons.join('; ');
}

function driversOf(asked: NetworkDriverName): readonly OutsideDriverName[] {
  if (asked === 'host') return [];
  if (asked !== 'auto') return [asked];
  return insideUserNamespace() ? ['pasta', 'slirp4netns'] : ['bridge', 'slirp4netns'];
}

/** The driver, or why it cannot be had. */
async function openDriver(name: OutsideDriverName, request: NetworksRequest): Promise<NetworkDriver | string> {
  const { helper, users, directory = '/run/tsbuild' } = request;
  const nameServers = nameServerReach();
  if (name === 'bridge') {
    if (nameServers === 'loopback-only') return 'the host’s name servers answer on its loopback only';
    return openBridge({ helper, users, nft: findProgram('nft'), directory });
  }
  const path = findProgram(name);
  if (path === undefined) return `there is no program ${name} (apt-get install ${packages[name]})`;
  // It becomes another user then, who may not enter the step's namespace.
  if (name === 'pasta' && !insideUserNamespace()) return 'pasta does not work for root (take bridge)';
  if (!canOpen(tunDevice)) return `${tunDevice} may not be opened (chmod 666 ${tunDevice})`;
  return programNetwork(name, { helper, users, path, nameServers });
}

const netAdmin = capabilityMask(['CAP_NET_ADMIN']);
const tunDevice = '/dev/net/tun';

function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'ENXIO', 'ENODEV')) return false;
    throw error;
  }
}

/** Debian's. */
const packages = { pasta: 'passt', slirp4netns: 'slirp4netns' } as const;
