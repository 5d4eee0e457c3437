/** Seconds with one digit, as a step's timer: `1.2s`; from a minute on `1m05s`. */
export function formatSeconds(ms: number): string {
  const tenths = Math.round(Math.max(0, ms) / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`;
  const seconds = Math.round(tenths / 10);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${twoDigits(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${twoDigits(Math.floor(seconds / 60) % 60)}m`;
}

const AGES: readonly (readonly [unit: string, ms: number])[] = [
  ['year', 365 * 86_400_000],
  ['month', 30 * 86_400_000],
  ['week', 7 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
];

/** How long ago, in the largest unit of which there are two: `3 hours ago`, `90` seconds are `90 seconds ago`. */
export function formatAge(ms: number): string {
  const [unit, length] = AGES.find(([, size]) => ms >= 2 * size) ?? ['second', 1000];
  const count = Math.max(0, Math.floor(ms / length));
  if (count === 0) return 'just now';
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
