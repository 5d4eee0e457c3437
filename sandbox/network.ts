import type { RuntimeSpec } from '../src/core/executor.ts';
import type { HelperCommand } from './helper-program.ts';

/** How one step reaches the network, as data for its program. */
export interface NetworkPlan {
  readonly namespace: 'own' | 'host';
  /** Namespaces that the step is born into; a network that connects itself makes its own. */
  readonly born: readonly 'net'[];
  /** Run by the keeper, on the host, before the step is born. */
  readonly before: readonly HelperCommand[];
  /** Run by the step ahead of its own commands, while it is root on the host. */
  readonly prelude: readonly HelperCommand[];
  /** Run by the keeper when nothing of the step is left. */
  readonly after: readonly HelperCommand[];
  /** Whether a name server on the host's loopback answers. */
  readonly loopback: 'reachable' | 'unreachable';
  /** Where no other name server can be reached. */
  readonly nameServer?: string;
  /** The host, as the step reaches it: `host-gateway` of --add-host. */
  readonly hostAddress: string;
  /** Gives back what the plan holds, once nothing of the step is left. */
  readonly release: () => void;
}

/** One way of giving steps a network. */
export interface NetworkDriver {
  readonly name: 'host' | 'none' | 'bridge' | 'pasta' | 'slirp4netns';
  /** A network for one step. */
  plan(): NetworkPlan;
}

const nothing = { born: [], before: [], prelude: [], after: [], release: () => undefined } as const;

/** The host's own network. */
export const hostNetwork: NetworkDriver = {
  name: 'host',
  plan: () => ({ ...nothing, namespace: 'host', loopback: 'reachable', hostAddress: '127.0.0.1' }),
};

/** A loopback interface, and nothing else. */
export const loopbackNetwork: NetworkDriver = {
  name: 'none',
  plan: () => ({
    ...nothing,
    namespace: 'own',
    born: ['net'],
    prelude: [['loopback-up']],
    loopback: 'unreachable',
    hostAddress: '127.0.0.1',
  }),
};

/** The driver for each value of --network; steps that ask for none in particular get `outside`. */
export function networkOf(network: RuntimeSpec['network'], outside: NetworkDriver): NetworkDriver {
  switch (network) {
    case 'none':
      return loopbackNetwork;
    case 'host':
      return hostNetwork;
    case 'default':
      return outside;
  }
}
