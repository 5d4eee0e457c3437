import { readFileSync } from 'node:fs';
import { isErrno } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import { hostsFile, resolvConf } from './rootfs.ts';

/** The files by which a step finds names, made from the host's. */
export function nameFiles(
  spec: Pick<RuntimeSpec, 'hostname' | 'extraHosts'>,
  loopback: 'reachable' | 'unreachable',
): { readonly hosts: string; readonly resolvConf: string } {
  const host = readText('/etc/resolv.conf') ?? '';
  const upstream = loopback === 'reachable' ? undefined : readText('/run/systemd/resolve/resolv.conf');
  return { hosts: hostsFile(spec.hostname, spec.extraHosts), resolvConf: resolvConf({ host, upstream, loopback }) };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
