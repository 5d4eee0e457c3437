import { closeSync, constants, openSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import { findProgram } from './find-program.ts';
import { openBridgeNetwork } from './network-bridge.ts';
import { programNetwork } from './network-program.ts';
import { hostNetwork, networkOf, type NetworkDriver } from './network.ts';
import { insideUserNamespace } from './user-namespace.ts';

/** Names of the networks that lead outside. `auto` shares the host's, as BuildKit does without CNI. */
export type NetworkDriverName = 'auto' | 'host' | 'bridge' | 'pasta' | 'slirp4netns';

/** What decides between networks. */
export interface NetworksRequest {
  readonly driver: NetworkDriverName;
  readonly helper: string;
  /** For what bridges have in common; absent: /run/tsbuild. */
  readonly directory?: string;
  /** Told why steps share the host's network although they were to have one of their own. */
  readonly notes: (text: string) => void;
}

/** The networks of one executor. The one that leads outside is opened by the first step that needs it. */
export class Networks implements AsyncDisposable {
  readonly #request: NetworksRequest;
  #outside: Promise<NetworkDriver & Partial<AsyncDisposable>> | undefined;

  constructor(request: NetworksRequest) {
    this.#request = request;
  }

  /** The driver for a step. */
  async driverOf({ network }: Pick<RuntimeSpec, 'network'>): Promise<NetworkDriver> {
    if (network !== 'default') return networkOf(network, hostNetwork);
    this.#outside ??= this.#open();
    return this.#outside;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What could not be opened was told to the step that needed it.
    const outside = await this.#outside?.catch(() => undefined);
    await outside?.[Symbol.asyncDispose]?.();
  }

  async #open(): Promise<NetworkDriver & Partial<AsyncDisposable>> {
    const { driver, notes } = this.#request;
    const opened = await this.#openNamed();
    if (typeof opened !== 'string') return opened;
    notes(`steps share the host’s network, since ${driver} does not work here: ${opened}`);
    return hostNetwork;
  }

  /** The driver asked for, or why it cannot be had. */
  async #openNamed(): Promise<(NetworkDriver & Partial<AsyncDisposable>) | string> {
    const { driver, helper, directory = '/run/tsbuild' } = this.#request;
    if (driver === 'auto' || driver === 'host') return hostNetwork;
    const program = driver === 'bridge' ? 'nft' : driver;
    const path = findProgram(program);
    if (path === undefined) return `there is no program ${program} (apt-get install ${packages[program]})`;
    if (driver === 'bridge') return openBridgeNetwork({ helper, nft: path, directory });
    // It becomes another user then, who may not enter the step's namespace.
    if (driver === 'pasta' && !insideUserNamespace()) return 'pasta does not work for root (take bridge)';
    return canOpen(tunDevice)
      ? programNetwork(driver, path)
      : `${tunDevice} may not be opened (chmod 666 ${tunDevice})`;
  }
}

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
