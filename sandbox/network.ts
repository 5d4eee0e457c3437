import type { HelperCommand } from './helper-program.ts';

/** How one step reaches the network, as data for its program. */
export interface NetworkPlan {
  readonly namespace: 'own' | 'host';
  /** The user namespace that it belongs to: one of its own, which a step enters too unless it has all capabilities, or ours. */
  readonly users: 'own' | 'ours';
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
  users: 'ours',
  join: [],
  loopback: 'reachable',
  hostAddress: '127.0.0.1',
};
