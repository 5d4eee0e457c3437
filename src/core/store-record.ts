/** What a record is to BuildKit's filters. */
export const STORE_RECORD_TYPES = [
  'regular',
  'internal',
  'frontend',
  'source.local',
  'source.git.checkout',
  'exec.cachemount',
] as const;

/** One thing in the store that takes space: what `du` counts and filters select. */
export interface StoreRecord {
  /** A blob's digest, a layer, the digest of a fetched tree, or the id of a cache mount. */
  readonly id: string;
  readonly kind:
    | 'image blobs'
    | 'export blobs'
    | 'unreferenced blobs'
    | 'image layers'
    | 'cache layers'
    | 'downloads'
    | 'git checkouts'
    | 'cache mounts';
  readonly type: (typeof STORE_RECORD_TYPES)[number];
  /** Where it comes from, as far as that is known: `exec /bin/sh -c make`, `unpacked from sha256:…`. */
  readonly description: string;
  /** Ids of the layers it lies on, one for each stack that has it. */
  readonly parents: readonly string[];
  readonly createdMs: number;
  readonly usedMs: number;
  /** An image or a running build needs it. */
  readonly inUse: 'yes' | 'no';
  /** Later steps may change it. */
  readonly mutable: 'yes' | 'no';
  /** An image, or more than one cache record, has it. */
  readonly shared: 'yes' | 'no';
}

/** A condition on records. */
export type RecordSelector =
  | {
      readonly field: 'id' | 'parents' | 'description' | 'type';
      readonly operator: 'equals' | 'differs' | 'contains';
      readonly value: string;
    }
  | {
      readonly field: 'id' | 'parents' | 'description' | 'type';
      readonly operator: 'matches';
      readonly value: RegExp;
    }
  | { readonly field: 'inUse' | 'mutable' | 'shared'; readonly operator: 'is'; readonly value: 'yes' | 'no' };

/** Whether all conditions hold. Several parents are one text with semicolons between them; equal is also one of them alone. */
export function isSelected(record: StoreRecord, selectors: readonly RecordSelector[]): boolean {
  return selectors.every((selector) => {
    if (selector.operator === 'is') return record[selector.field] === selector.value;
    const texts = selector.field === 'parents' ? parentTexts(record) : [record[selector.field]];
    switch (selector.operator) {
      case 'equals':
        return texts.includes(selector.value);
      case 'differs':
        return !texts.includes(selector.value);
      case 'contains':
        return texts.some((text) => text.includes(selector.value));
      case 'matches':
        return texts.some((text) => selector.value.test(text));
    }
  });
}

function parentTexts({ parents }: StoreRecord): readonly string[] {
  return [parents.join(';'), ...parents];
}
