import type { RuntimeSpec } from '../src/core/executor.ts';
import type { HelperCommand } from './helper-program.ts';

/** How one step reaches the network, as data for its program. */
export interface NetworkPlan {
  readonly namespace: 'own' | 'host';
  /** Namespaces that the step is born into: not those that are kept for several steps. */
  readonly born: readonly 'net'[];
  /** Run by the step ahead of its own commands, while it is root on the host. */
  readonly join: readonly HelperCommand[];
  /** Whether a name server on the host's loopback answers. */
  readonly loopback: 'reachable' | 'unreachable';
  /** Where no other name server can be reached. */
  readonly nameServer?: string;
  /** The host, as the step reaches it: `host-gateway` of --add-host. */
  readonly hostAddress: string;
}

/** The host's own network. */
export const hostNetwork: NetworkPlan = {
  namespace: 'host',
  born: [],
  join: [],
  loopback: 'reachable',
  hostAddress: '127.0.0.1',
};

/** A loopback interface, and nothing else. */
export const loopbackNetwork: NetworkPlan = {
  namespace: 'own',
  born: ['net'],
  join: [['loopback-up']],
  loopback: 'unreachable',
  hostAddress: '127.0.0.1',
};

/** What a step is born into, whatever network leads outside here. */
export function namespacesOf({ network }: Pick<RuntimeSpec, 'network'>): readonly 'net'[] {
  return network === 'none' ? loopbackNetwork.born : [];
}
