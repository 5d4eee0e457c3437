import { expect, test } from 'vitest';
import type { LayerId } from '../../src/core/snapshot.ts';
import { leastValuableFirst, type ValuedRecord } from '../../src/store/least-valuable.ts';
import { bytesToKeep, type SpacePolicy } from '../../src/store/space-policy.ts';

const GB = 1e9;

test.each<[string, SpacePolicy, number | undefined]>([
  ['no wish', {}, undefined],
  ['a cap', { maxUsedBytes: 5 * GB }, 5 * GB],
  ['a cap below the reserve', { maxUsedBytes: 5 * GB, reservedBytes: 7 * GB }, 7 * GB],
  ['only a reserve', { reservedBytes: 7 * GB }, 7 * GB],
  ['enough free', { minFreeBytes: 2 * GB }, Infinity],
  ['too little free', { minFreeBytes: 5 * GB }, 8 * GB],
  ['more wanted free than there is', { minFreeBytes: 50 * GB }, 0],
  ['more wanted free, and a reserve', { minFreeBytes: 50 * GB, reservedBytes: GB }, GB],
  ['the stricter of two', { minFreeBytes: 5 * GB, maxUsedBytes: 9 * GB }, 8 * GB],
])('space: %s', (_name, policy, keep) => {
  expect(bytesToKeep(policy, { usedBytes: 10 * GB, freeBytes: 3 * GB })).toBe(keep);
});

test('value: what is quick to make again, large and long unused goes first, and nothing before what stands on it', () => {
  const hour = 3_600_000;
  const nowMs = 1000 * hour;
  const record = (id: number, o: Partial<ValuedRecord>): ValuedRecord => ({
    id,
    stack: [`layer-${id}` as LayerId],
    usedMs: nowMs - hour,
    durationMs: 1000,
    ...o,
  });
  const records = [
    record(1, { durationMs: 60_000 }),
    record(2, {}),
    record(3, { usedMs: nowMs - 100 * hour }),
    record(4, {}),
    record(5, { stack: ['layer-4', 'layer-5'] as LayerId[], durationMs: 600_000 }),
  ];
  expect(leastValuableFirst(records, { bytesOf, nowMs })).toEqual([3, 2, 1, 5, 4]);
});

function bytesOf(layer: LayerId): number {
  return layer === 'layer-4' ? 1e9 : 1e6;
}
