import { closeSync, constants, openSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import { capabilityMask } from './capability-sets.ts';
import { findProgram } from './find-program.ts';
import { nameServerReach } from './name-files.ts';
import { openBridge } from './network-bridge.ts';
import { NetworkPool, type NetworkDriver, type TakenNetwork } from './network-pool.ts';
import { programNetwork } from './network-program.ts';
import { hostNetwork, loopbackNetwork, type NetworkPlan } from './network.ts';
import { loopbackProxy } from './loopback-proxy.ts';
import { ownCapabilities } from './own-capabilities.ts';
import { insideUserNamespace } from './user-namespace.ts';

/** Names of the networks that lead outside. `auto` is the first that works of those that isolate, else the host's. */
export type NetworkDriverName = 'auto' | 'host' | NetworkDriver['name'];

/** What decides between networks. */
export interface NetworksRequest {
  readonly driver: NetworkDriverName;
  readonly helper: string;
  /** For what bridges have in common; absent: /run/tsbuild. */
  readonly directory?: string;
  /** Told why steps share the host's network although they were to have one of their own. */
  readonly notes: (text: string) => void;
}

/** What of a step decides about its network. */
type NetworkUse = Pick<RuntimeSpec, 'network'> & {
  readonly process: Pick<RuntimeSpec['process'], 'env' | 'capabilities'>;
};

/** The networks of one executor. Those that lead outside are opened by the first step that needs one. */
export class Networks implements AsyncDisposable {
  readonly #request: NetworksRequest;
  #outside: Promise<NetworkPool | string> | undefined;

  constructor(request: NetworksRequest) {
    this.#request = request;
  }

  /** Begins to make what a step like this will need, beside whatever else has to be done for it. */
  prepare(spec: NetworkUse): void {
    // What cannot be opened is told to the step that takes it.
    if (this.#given(spec) === undefined) this.#open().catch(() => undefined);
  }

  /**
   * A network for one step; `taken`: what runs the step takes the addresses away from it.
   * @throws SANDBOX_FAILED where none can be made although the first one could
   */
  async take(spec: NetworkUse, addresses: 'kept' | 'taken' = 'kept'): Promise<TakenNetwork> {
    const only = this.#given(spec);
    if (only !== undefined) return this.#share(only);
    const outside = await this.#open();
    const wear = addresses === 'taken' || spec.process.capabilities === 'all' ? 'once' : 'again';
    if (typeof outside !== 'string') return outside.take(wear);
    return this.#share({ plan: hostNetwork, note: `${this.#request.driver} does not work here: ${outside}` });
  }

  /** What steps with the default network get, and why. */
  async describe(): Promise<{ readonly choice: NetworkDriverName; readonly why: string }> {
    const { driver } = this.#request;
    if (driver === 'host') return { choice: 'host', why: 'as asked for' };
    const outside = await this.#open();
    if (typeof outside === 'string') return { choice: 'host', why: outside };
    const why = driver === 'auto' ? 'steps have a network of their own that leads outside' : 'as asked for';
    return { choice: outside.driver, why };
  }

  /** Begins to end the namespaces that no step uses. */
  rest(): void {
    // What could not be opened was told to the step that needed it.
    void this.#outside?.then((outside) => typeof outside === 'object' && outside.rest()).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What could not be opened was told to the step that needed it.
    const outside = await this.#outside?.catch(() => undefined);
    if (typeof outside === 'object') await outside[Symbol.asyncDispose]();
  }

  #open(): Promise<NetworkPool | string> {
    this.#outside ??= openOutside(this.#request);
    return this.#outside;
  }

  /** What a step gets that needs none of the networks that lead outside. */
  #given({ network, process: { env } }: NetworkUse): Shared | undefined {
    if (network === 'none') return { plan: loopbackNetwork };
    const { driver } = this.#request;
    if (network === 'host' || driver === 'host') return { plan: hostNetwork };
    const proxy = driver === 'auto' ? loopbackProxy(env) : undefined;
    return proxy === undefined ? undefined : { plan: hostNetwork, note: `${proxy} names a proxy on its loopback` };
  }

  #share({ plan, note }: Shared): TakenNetwork {
    if (note !== undefined) this.#request.notes(`steps share the host’s network: ${note}`);
    return { plan, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
}

/** A network that is not a step's alone, or that is made with the step. */
interface Shared {
  readonly plan: NetworkPlan;
  readonly note?: string;
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

function driversOf(asked: NetworkDriverName): readonly NetworkDriver['name'][] {
  if (asked === 'host') return [];
  if (asked !== 'auto') return [asked];
  return insideUserNamespace() ? ['pasta', 'slirp4netns'] : ['bridge', 'slirp4netns'];
}

/** The driver, or why it cannot be had. */
async function openDriver(name: NetworkDriver['name'], request: NetworksRequest): Promise<NetworkDriver | string> {
  const { helper, directory = '/run/tsbuild' } = request;
  const program = name === 'bridge' ? 'nft' : name;
  const path = findProgram(program);
  if (path === undefined) return `there is no program ${program} (apt-get install ${packages[program]})`;
  const nameServers = nameServerReach();
  if (name === 'bridge') {
    if (nameServers === 'loopback-only') return 'the host’s name servers answer on its loopback only';
    return openBridge({ helper, nft: path, directory });
  }
  // It becomes another user then, who may not enter the step's namespace.
  if (name === 'pasta' && !insideUserNamespace()) return 'pasta does not work for root (take bridge)';
  if (!canOpen(tunDevice)) return `${tunDevice} may not be opened (chmod 666 ${tunDevice})`;
  return programNetwork(name, { helper, path, nameServers });
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
const packages = { nft: 'nftables', pasta: 'passt', slirp4netns: 'slirp4netns' } as const;
