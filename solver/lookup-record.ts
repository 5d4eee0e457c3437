import type { CacheIndex, CacheKey, CacheRecord } from '../src/core/cache.ts';
import type { LayerId } from '../src/core/snapshot.ts';

/** What a record is looked up with. */
export interface RecordPorts {
  readonly index: Pick<CacheIndex, 'lookup'>;
  /** Whether a recorded layer is still there. */
  readonly hasLayer: (layer: LayerId) => Promise<boolean>;
}

/** The record for `key`, unless one of its layers is gone. */
export async function lookupRecord(ports: RecordPorts, key: CacheKey | undefined): Promise<CacheRecord | undefined> {
  const record = key === undefined ? undefined : await ports.index.lookup(key);
  if (record === undefined) return undefined;
  const present = await Promise.all(record.stack.map((layer) => ports.hasLayer(layer)));
  return present.every(Boolean) ? record : undefined;
}
