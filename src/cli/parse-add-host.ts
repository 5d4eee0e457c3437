import type { BuildRequest } from '../build-request.ts';
import { usageError } from './usage-error.ts';

type HostEntry = NonNullable<BuildRequest['addHosts']>[number];

/** `name:address` or `name=address`; an IPv6 address may stand in brackets; `host-gateway` is the host's address. */
export function parseAddHost(text: string): HostEntry {
  const separator = text.includes('=') ? text.indexOf('=') : text.indexOf(':');
  const host = text.slice(0, Math.max(0, separator));
  const address = text.slice(separator + 1).replace(/^\[(.*)\]$/, '$1');
  if (separator < 1 || address === '')
    throw usageError(`--add-host: invalid value ${JSON.stringify(text)}`, 'write NAME:ADDRESS');
  if (/\s/.test(host)) throw usageError(`--add-host: a host name cannot hold white space: ${JSON.stringify(host)}`);
  // Imported like this because loading it takes milliseconds, and the flag is rare.
  const { isIP } = process.getBuiltinModule('node:net');
  if (address !== 'host-gateway' && isIP(address) === 0) {
    throw usageError(
      `--add-host: ${JSON.stringify(address)} is not an IP address`,
      'write NAME:ADDRESS, or NAME:host-gateway',
    );
  }
  return { host, address };
}
