import * as v from 'valibot';
import { canonicalJson } from './canonical-json.ts';
import { decodeDocument } from './decode.ts';
import { isDigest, type Digest } from './digest.ts';
import { FormatError } from './format-error.ts';

/** The media type of BuildKit's cache config (moby/buildkit cache/remotecache/v1/doc.go and spec.go). */
export const CACHE_CONFIG_TYPE = 'application/vnd.buildkit.cacheconfig.v0';
/** The member of an image config that holds the records of an inline cache. */
export const INLINE_CACHE_MEMBER = 'moby.buildkit.cache.v0';
/** The annotation of a layer's descriptor that says what the layer holds. */
export const DIFF_ID_ANNOTATION = 'containerd.io/uncompressed';
/** The annotation of a layer's descriptor that says when the layer was made. */
export const CREATED_AT_ANNOTATION = 'buildkit/createdat';

/** A layer of a cache; `parent` is the index of the one below it, -1 for none. */
export interface CacheConfigLayer {
  readonly blob: Digest;
  readonly parent: number;
  readonly annotations?: {
    readonly mediaType?: string;
    readonly diffID?: Digest;
    readonly size?: number;
    readonly createdAt?: string;
  };
}

/** A step's key and what it gave: by the topmost layer of a chain of parents, or by a list of layers, oldest first. */
export interface CacheConfigRecord {
  readonly digest: string;
  readonly layers?: readonly { readonly layer: number; readonly createdAt?: string }[];
  readonly chains?: readonly { readonly layers: readonly number[]; readonly createdAt?: string }[];
  /** Milliseconds that the step took; tsbuild's own member, which others pass over. */
  readonly durationMs?: number;
}

/** A cache config; property names as in the JSON. What BuildKit says of how records depend on each other is left out. */
export interface CacheConfig {
  readonly layers: readonly CacheConfigLayer[];
  readonly records: readonly CacheConfigRecord[];
}

const index = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const digest = v.pipe(v.string(), v.guard(isDigest, 'not sha256: and 64 hex digits'));
const createdAt = v.exactOptional(v.string());

const layer = v.object({
  blob: digest,
  // Go leaves out a zero.
  parent: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(-1)), 0),
  annotations: v.exactOptional(
    v.object({
      mediaType: v.exactOptional(v.string()),
      diffID: v.exactOptional(digest),
      size: v.exactOptional(index),
      createdAt,
    }),
  ),
});

const records = v.array(
  v.object({
    digest: v.optional(v.string(), ''),
    layers: v.exactOptional(v.array(v.object({ layer: index, createdAt }))),
    chains: v.exactOptional(v.array(v.object({ layers: v.array(index), createdAt }))),
    durationMs: v.exactOptional(v.pipe(v.number(), v.minValue(0))),
  }),
);

const cacheConfig = v.object({ layers: v.optional(v.array(layer), []), records: v.optional(records, []) });
const inlineConfig = v.object({ [INLINE_CACHE_MEMBER]: v.exactOptional(v.pipe(v.string(), v.base64())) });

/** The cache config that `bytes` spell. @throws FormatError */
export function decodeCacheConfig(bytes: Uint8Array): CacheConfig {
  return decodeDocument('cache config', cacheConfig, bytes);
}

/** The records in an image config; their layers are the image's. `undefined` where it holds none. @throws FormatError */
export function decodeInlineCache(config: Uint8Array): readonly CacheConfigRecord[] | undefined {
  const { [INLINE_CACHE_MEMBER]: encoded } = decodeDocument('image config', inlineConfig, config);
  if (encoded === undefined) return undefined;
  return decodeDocument('inline cache', records, Buffer.from(encoded, 'base64'));
}

/** The bytes of a cache config. */
export function encodeCacheConfig(config: CacheConfig): Buffer {
  return Buffer.from(canonicalJson(config));
}

/** What an image config holds under `INLINE_CACHE_MEMBER`. */
export function encodeInlineCache(inline: readonly CacheConfigRecord[]): string {
  return Buffer.from(canonicalJson(inline)).toString('base64');
}

/** Milliseconds since the epoch of an RFC 3339 time. @throws FormatError */
export function parseCreatedAt(text: string): number {
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw new FormatError(`cache config: ${JSON.stringify(text.slice(0, 64))} is no time`);
  return timeMs;
}
