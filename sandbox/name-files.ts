import type { RuntimeSpec } from '../src/core/executor.ts';
import { lookupText } from './lookup-text.ts';
import type { NetworkPlan } from './network.ts';
import { hostsFile, namesServer, resolvConf } from './rootfs.ts';

/** The files by which a step finds names, made from the host's. */
export function nameFiles(
  spec: Pick<RuntimeSpec, 'hostname' | 'extraHosts'>,
  { loopback, hostAddress, nameServer }: Pick<NetworkPlan, 'loopback' | 'hostAddress' | 'nameServer'>,
): { readonly hosts: string; readonly resolvConf: string } {
  const { host, upstream } = resolvers();
  const extra = spec.extraHosts.map((each) =>
    each.address === 'host-gateway' ? { ...each, address: hostAddress } : each,
  );
  return {
    hosts: hostsFile(spec.hostname, extra),
    resolvConf: resolvConf({ host, upstream, loopback, ...(nameServer === undefined ? {} : { nameServer }) }),
  };
}

/** Whether a step in a network of its own reaches one of the host's name servers; `loopback-only`: they answer on the host's loopback. */
export function nameServerReach(): 'reachable' | 'loopback-only' {
  const { host, upstream } = resolvers();
  if (!namesServer(host)) return 'reachable';
  return namesServer(resolvConf({ host, upstream, loopback: 'unreachable' })) ? 'reachable' : 'loopback-only';
}

function resolvers(): { readonly host: string; readonly upstream: string | undefined } {
  return { host: lookupText('/etc/resolv.conf') ?? '', upstream: lookupText('/run/systemd/resolve/resolv.conf') };
}
