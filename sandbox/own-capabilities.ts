import { readFileSync } from 'node:fs';

/** The capabilities that this process has and may pass on, as a bit mask. */
export function ownCapabilities(): bigint {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mask = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
  return mask('CapEff') & mask('CapBnd');
}
