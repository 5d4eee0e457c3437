import type { LayerId, LayerStack } from '../core/snapshot.ts';

/** A cache record as its value is judged. */
export interface ValuedRecord {
  readonly id: number;
  readonly stack: LayerStack;
  readonly usedMs: number;
  readonly durationMs: number;
}

/** Even a step that took no time is a step to run again. */
const LEAST_COST_MS = 50;
const LEAST_BYTES = 64 * 1024;
const HOUR_MS = 3_600_000;

/**
 * The ids of `records`, least valuable first. What a record is worth is the time it saves, for the space that its own layer takes, less
 * with every hour nobody has used it. A record whose layers others stand on frees nothing, so it comes after those.
 */
export function leastValuableFirst(
  records: readonly ValuedRecord[],
  o: { readonly bytesOf: (layer: LayerId) => number; readonly nowMs: number },
): readonly number[] {
  const above = new Map<LayerId, number>();
  const count = (stack: LayerStack, change: number): void => {
    for (const layer of stack.slice(0, -1)) above.set(layer, (above.get(layer) ?? 0) + change);
  };
  for (const { stack } of records) count(stack, 1);
  const isTop = ({ stack }: ValuedRecord): boolean => (above.get(stack.at(-1) ?? ('' as LayerId)) ?? 0) === 0;
  const waiting = records
    .map((record) => ({ record, worth: worthOf(record, o) }))
    .toSorted((a, b) => a.worth - b.worth);
  const order: number[] = [];
  while (waiting.length > 0) {
    // Stacks only grow, so the longest one has nothing above it.
    const next = waiting.findIndex(({ record }) => isTop(record));
    const [taken] = waiting.splice(Math.max(next, 0), 1);
    if (taken === undefined) break;
    count(taken.record.stack, -1);
    order.push(taken.record.id);
  }
  return order;
}

function worthOf(
  { stack, usedMs, durationMs }: ValuedRecord,
  { bytesOf, nowMs }: { readonly bytesOf: (layer: LayerId) => number; readonly nowMs: number },
): number {
  const top = stack.at(-1);
  const bytes = Math.max(LEAST_BYTES, top === undefined ? 0 : bytesOf(top));
  const idleHours = Math.max(0, nowMs - usedMs) / HOUR_MS;
  return Math.max(LEAST_COST_MS, durationMs) / bytes / (1 + idleHours);
}
