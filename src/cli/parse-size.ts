import { usageError } from './usage-error.ts';

const POWERS = ['', 'k', 'm', 'g', 't', 'p'];

/** The bytes that `64m`, `1.5g`, `512MiB` or `1024` stand for; units are powers of 1024, as docker counts memory. */
export function parseSize(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s?(?:([kmgtp])?(?:ib?|b)?)$/i.exec(text.trim());
  if (match === null)
    throw usageError(`${flag}: invalid size ${JSON.stringify(text)}`, 'write bytes, or a number with k, m, g or t');
  const power = POWERS.indexOf((match[2] ?? '').toLowerCase());
  const bytes = Math.floor(Number(match[1]) * 1024 ** power);
  if (!Number.isSafeInteger(bytes)) throw usageError(`${flag}: ${text} is too large`);
  return bytes;
}

/** A size, or -1 for no limit. */
export function parseLimit(flag: string, text: string): number {
  return text.trim() === '-1' ? -1 : parseSize(flag, text);
}

/** A whole number that is not below `min`. */
export function parseCount(flag: string, text: string, min = 0): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min) {
    throw usageError(`${flag}: ${JSON.stringify(text)} is not a whole number of at least ${min}`);
  }
  return value;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The milliseconds that `90s`, `1h30m` or `7d` stand for. */
export function parseDurationMs(flag: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw usageError(`${flag}: invalid duration ${JSON.stringify(text)}`, 'write numbers with units: 30m, 24h, 7d');
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS_MS[unit ?? ''] ?? 0), 0);
}
