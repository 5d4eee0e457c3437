import { formatSize } from './format-size.ts';
import { formatSeconds } from './format-time.ts';
import type { StatusState } from './progress-state.ts';

/** How far a part of a step is: `sha256:4bcf… 1.05MB / 3.42MB 0.2s`, with `done` at the end. */
export function formatStatus(status: StatusState): string {
  const tookMs = status.timeMs - status.startedMs;
  const time = tookMs > 10 ? ` ${formatSeconds(tookMs)}` : '';
  return `${status.id}${formatAmount(status)}${time}${isComplete(status) ? ' done' : ''}`;
}

/** Whether all of it is there. */
export function isComplete({ current, total }: StatusState): boolean {
  return total !== undefined && current >= total;
}

function formatAmount({ current, total, unit }: StatusState): string {
  switch (unit) {
    case 'none':
      return '';
    case 'files':
      return total === undefined ? ` ${current} files` : ` ${current} / ${total} files`;
    case 'bytes':
      if (total !== undefined && total > 0) return ` ${formatSize(current)} / ${formatSize(total)}`;
      return current > 0 ? ` ${formatSize(current)}` : '';
  }
}
