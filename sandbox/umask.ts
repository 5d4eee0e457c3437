import { readFileSync } from 'node:fs';

/** The mode bits that new files of this process lack. Asking Node for it would set it for a moment, in all threads. */
export function umaskOfProcess(): number {
  const [, umask] = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  // Unknown, it counts as one that takes everything away: modes are then always set.
  return umask === undefined ? 0o777 : Number.parseInt(umask, 8);
}
