import type { RuntimeSpec } from '../src/core/executor.ts';
import type { HelperCommand } from './helper-program.ts';

/** How a step reaches the network, as data for its program. */
export interface NetworkPlan {
  readonly namespace: 'own' | 'host';
  /** Run by the step before it loses the host's file system. */
  readonly commands: readonly HelperCommand[];
  /** Whether a name server on the host's loopback answers. */
  readonly loopback: 'reachable' | 'unreachable';
}

/** One way of giving a step a network. A driver that connects an own namespace to the outside takes its place here. */
export interface NetworkDriver {
  readonly name: string;
  plan(): NetworkPlan;
}

const hostDriver: NetworkDriver = {
  name: 'host',
  plan: () => ({ namespace: 'host', commands: [], loopback: 'reachable' }),
};

const loopbackDriver: NetworkDriver = {
  name: 'none',
  plan: () => ({ namespace: 'own', commands: [['loopback-up']], loopback: 'unreachable' }),
};

/** The driver for each value of --network. `default` shares the host's network, as BuildKit does without CNI. */
export function networkDriver(network: RuntimeSpec['network']): NetworkDriver {
  return network === 'none' ? loopbackDriver : hostDriver;
}
