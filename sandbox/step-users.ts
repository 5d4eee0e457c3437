import type { RuntimeSpec } from '../src/core/executor.ts';
import { expandCapabilities } from './capability-sets.ts';
import type { NetworkPlan } from './network.ts';
import { insideUserNamespace } from './user-namespace.ts';

/** Whether networks get user namespaces of their own: where an ordinary user builds, steps are in ours, and OCI runtimes leave root's as Docker does. */
export function networkUsers(runtime = 'native'): NetworkPlan['users'] {
  return runtime === 'native' && !insideUserNamespace() ? 'own' : 'ours';
}

type StepUse = { readonly process: Pick<RuntimeSpec['process'], 'capabilities'> };

/**
 * The user namespace that a step is in: that of its network, since its capabilities would be good for nothing there from another one. A step
 * with all capabilities (--security=insecure) is to have them over the host, and stays in ours.
 */
export function stepUsers({ process }: StepUse, ofNetwork: NetworkPlan['users']): NetworkPlan['users'] {
  return process.capabilities === 'all' ? 'ours' : ofNetwork;
}

/** Who makes the device nodes of a step that may make any: in a user namespace of its own the kernel refuses, and the helper is asked. */
export function deviceNodes(spec: StepUse, ofNetwork: NetworkPlan['users']): 'kernel' | 'ask' {
  const may = expandCapabilities(spec.process.capabilities).includes('CAP_MKNOD');
  return may && stepUsers(spec, ofNetwork) === 'own' ? 'ask' : 'kernel';
}
