import type { CacheIndex, CacheKey, CacheRecord } from '../src/core/cache.ts';
import type { ImportedCache } from '../src/core/imported-cache.ts';
import type { LayerId } from '../src/core/snapshot.ts';

/** What a record is looked up with. */
export interface RecordPorts {
  readonly index: Pick<CacheIndex, 'lookup'>;
  /** Asked for what the index does not have. */
  readonly imported?: Pick<ImportedCache, 'lookup'> | undefined;
  /** Whether a recorded layer is still there. */
  readonly hasLayer: (layer: LayerId) => Promise<boolean>;
}

/** The record for `key`, unless one of its layers is gone; else what a cache was imported with. */
export async function lookupRecord(ports: RecordPorts, key: CacheKey | undefined): Promise<CacheRecord | undefined> {
  if (key === undefined) return undefined;
  const record = await ports.index.lookup(key);
  const present = record === undefined ? [] : await Promise.all(record.stack.map((layer) => ports.hasLayer(layer)));
  return record !== undefined && present.every(Boolean) ? record : ports.imported?.lookup(key);
}
