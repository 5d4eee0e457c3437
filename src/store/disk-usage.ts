import type { StoreRecord } from '../core/store-record.ts';

/** One kind of thing in the store, and what it takes. */
export interface DiskUsage {
  readonly kind: StoreRecord['kind'];
  readonly count: number;
  readonly bytes: number;
  /** What more than one name, or more than one cache record, needs. */
  readonly sharedBytes: number;
  /** What no image and no running build needs. */
  readonly reclaimableBytes: number;
}

/** A record whose files have been measured. */
export type MeasuredRecord = StoreRecord & { readonly bytes: number };

const KINDS: readonly StoreRecord['kind'][] = [
  'image blobs',
  'export blobs',
  'unreferenced blobs',
  'image layers',
  'cache layers',
  'downloads',
  'git checkouts',
  'cache mounts',
];

/** What takes how much space: one row of each kind. */
export function sumUsage(records: readonly MeasuredRecord[]): readonly DiskUsage[] {
  return KINDS.map((kind) => {
    const items = records.filter((record) => record.kind === kind);
    return {
      kind,
      count: items.length,
      bytes: sum(items),
      sharedBytes: sum(items.filter(({ shared }) => shared === 'yes')),
      reclaimableBytes: sum(items.filter(({ inUse }) => inUse === 'no')),
    };
  });
}

function sum(items: readonly MeasuredRecord[]): number {
  return items.reduce((total, { bytes }) => total + bytes, 0);
}
