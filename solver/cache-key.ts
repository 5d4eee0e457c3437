import { createHash } from 'node:crypto';
import type { CacheKey } from '../src/core/cache.ts';

/** One labelled part of a key. Labels are unique within a key; they are what `explain` compares. */
export type KeyField = readonly [label: string, value: string | Uint8Array];

/** Changes whenever the meaning of keys or the content of layers made from equal keys changes: older records are then never hit. */
const FORMAT = 'tsbuild.cache-key.v1';

/**
 * The digest of `fields` in their order. Every label and value is framed by its length, so that no two lists of fields can run into
 * the same bytes. A recipe key and a result key never collide.
 */
export function cacheKey(kind: 'recipe' | 'result', fields: readonly KeyField[]): CacheKey {
  const hash = createHash('sha256');
  const length = Buffer.alloc(4);
  const frame = (part: string | Uint8Array): void => {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    length.writeUInt32BE(bytes.byteLength);
    hash.update(length).update(bytes);
  };
  frame(FORMAT);
  frame(kind);
  for (const [label, value] of fields) {
    frame(label);
    frame(value);
  }
  return `sha256:${hash.digest('hex')}` as CacheKey;
}

/** The fields as JSON for the cache record; long or binary values are kept whole, as text. */
export function formatFields(fields: readonly KeyField[]): string {
  return JSON.stringify(
    fields.map(([label, value]) => [label, typeof value === 'string' ? value : Buffer.from(value).toString('base64')]),
  );
}
