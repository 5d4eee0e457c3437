import type { HelperCommand } from './helper-program.ts';

/** The resources of setrlimit(2) by name, as Linux numbers them on x86-64 and 64-bit Arm. */
const resources: ReadonlyMap<string, number> = new Map(
  [
    'cpu',
    'fsize',
    'data',
    'stack',
    'core',
    'rss',
    'nproc',
    'nofile',
    'memlock',
    'as',
    'locks',
    'sigpending',
    'msgqueue',
    'nice',
    'rtprio',
    'rttime',
  ].map((name, number) => [name, number]),
);

const unlimited = 2n ** 64n - 1n;

/**
 * A program that crashes leaves no picture of its memory in the layer, secrets and all, whatever the host's own limit is. A step may raise it.
 */
export const noCoreDumps: HelperCommand = ['soft-limit', String(resources.get('core')), '0'];

/** The number of a limit named as --ulimit (`nofile`) or the runtime-spec (`RLIMIT_NOFILE`) does, or `undefined`. */
export function rlimitNumber(type: string): number | undefined {
  return resources.get(type.toLowerCase().replace(/^rlimit_/, ''));
}

/** The name that the runtime-spec gives to a limit. */
export function rlimitType(type: string): string {
  return `RLIMIT_${type.replace(/^RLIMIT_/i, '').toUpperCase()}`;
}

/** A limit's value in decimal; negative means unlimited. */
export function rlimitValue(value: number): string {
  return String(value < 0 ? unlimited : BigInt(value));
}
