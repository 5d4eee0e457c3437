import type { RuntimeMount, RuntimeSpec } from '../src/core/executor.ts';
import { BuildError } from '../src/core/error.ts';
import { hasOneId } from './id-map.ts';
import type { NetworkPlan } from './network.ts';
import { isDev } from './own-dev.ts';
import type { RuntimeNeeds } from './runtime-needs.ts';

/** What a build asks of every release that knows it; one that does not know a flag does not do what the flag switches off. */
const wantedFlags: readonly string[] = [
  // The step's group is the helper's business.
  'ignore-cgroups=true',
  // What a step writes belongs into its layer; since 2023 it would stay in the sandbox.
  'overlay2=none',
  // Without it CAP_NET_RAW is taken away, which Docker's steps have.
  'net-raw=true',
];

/** The flags for every step, from the text of `runsc flags`. */
export function gvisorFlags(help: string): readonly string[] {
  const known = new Set([...help.matchAll(/^\s+-(\S+)/gm)].map(([, name]) => name));
  return wantedFlags.filter((flag) => known.has(flag.split('=')[0])).map((flag) => `--${flag}`);
}

/** Keeps gVisor from mounting memory over an empty /tmp, which belongs to the layer: a mount there, of a type that it does not know and leaves out. */
const ownTmp = { destination: '/tmp', type: 'left-out', source: 'none', options: [] } as const;

/** What one step needs. @throws SANDBOX_FAILED for devices of the host, of which gVisor's kernel has none, and for another /dev than its own. */
export function gvisorNeeds(spec: RuntimeSpec, plan: NetworkPlan): RuntimeNeeds {
  refuse(spec);
  const network = networkStack(spec, plan);
  const sockets = spec.mounts.some(({ type }) => type === 'socket') ? ['--host-uds=open'] : [];
  return {
    flags: [`--network=${network}`, ...sockets],
    mounts: [ownTmp],
    unknownCapabilities: ['CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE'],
    // It names some calls otherwise, lacks others, for which programs then get EPERM and try no older one, and knows no other answer than that.
    filter: 'does-not-fit',
    ...(network === 'sandbox' ? ownStack : { hidden: [] }),
  };
}

/** It refuses to take the host's network and knows that by files in this directory, one of which newer kernels have in every namespace. */
const ownStack = { networkPath: '/proc/self/ns/net', hidden: ['/proc/sys/net/core'] } as const;

/**
 * Who speaks TCP: gVisor itself, on the interfaces of the namespace that it is started in, or the host's kernel in that namespace. The latter for
 * the host's own network; and where there is one id only, because gVisor's stack runs as another user.
 */
function networkStack({ network }: RuntimeSpec, { namespace }: NetworkPlan): 'none' | 'sandbox' | 'host' {
  if (network === 'none') return 'none';
  return namespace === 'host' || hasOneId() ? 'host' : 'sandbox';
}

function refuse({ mounts }: RuntimeSpec): void {
  const hint = 'leave out --runtime, or build this by another runtime';
  for (const mount of mounts) {
    const reason = reasonAgainst(mount);
    const step = `mount ${mount.destination}`;
    if (reason !== undefined) throw new BuildError('SANDBOX_FAILED', { step, reason }, { hint });
  }
}

function reasonAgainst(mount: RuntimeMount): string | undefined {
  if (mount.type === 'device') return 'gVisor (runsc) gives no device of the host to a step';
  // A tmpfs is what it has there.
  if (mount.type === 'tmpfs' || !isDev(mount)) return undefined;
  return 'gVisor (runsc) has a /dev of its own, /dev/null and all, in whose place nothing can be';
}
