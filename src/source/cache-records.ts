import type { CacheKey } from '../core/cache.ts';
import type { RemoteLayer } from '../core/imported-cache.ts';
import { type CacheConfig, parseCreatedAt } from '../oci/cache-config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import { layerCompression } from '../oci/media-type.ts';
import { type CacheDocument, layerFacts } from './cache-document.ts';

/** What a cache tells of a layer. */
export type ToldLayer = Omit<RemoteLayer, 'id'>;

/** One place of a layer: what it holds, and what it lies on. */
export interface LayerNode {
  readonly layer: ToldLayer;
  readonly below: LayerNode | undefined;
}

/** What an imported cache says of one step. */
export interface ImportedRecord {
  readonly key: CacheKey;
  /** The topmost layer of the result; absent for an empty one. */
  readonly top: LayerNode | undefined;
  readonly createdMs: number;
  readonly durationMs: number;
}

/** The layers from the lowest one to `top`. */
export function nodesUpTo(top: LayerNode | undefined): readonly LayerNode[] {
  const nodes: LayerNode[] = [];
  for (let node = top; node !== undefined; node = node.below) nodes.push(node);
  return nodes.toReversed();
}

/**
 * The records of a cache. Those without a result that can be unpacked here (BuildKit links records, and knows other layer types) are left
 * out. @throws FormatError for indexes of layers that are not there, or that lie on themselves
 */
export function importedRecords({ config, blobs }: CacheDocument): readonly ImportedRecord[] {
  const tree = new LayerTree(config, new Map(blobs.map((blob) => [blob.digest, blob])));
  return config.records.flatMap((record) => {
    const key = parseDigest(record.digest);
    const [result] = record.layers ?? [];
    const [chain] = record.chains ?? [];
    if (key === undefined || (result === undefined && chain === undefined)) return [];
    const top = result === undefined ? tree.stack(chain?.layers ?? []) : tree.upTo(result.layer);
    if (top === 'unusable') return [];
    const createdAt = result?.createdAt ?? chain?.createdAt;
    const createdMs = createdAt === undefined ? (top?.layer.createdMs ?? 0) : parseCreatedAt(createdAt);
    return [{ key: key as CacheKey, top, createdMs, durationMs: record.durationMs ?? 0 }];
  });
}

type Place = LayerNode | undefined | 'unusable';

class LayerTree {
  readonly #config: CacheConfig;
  readonly #blobs: ReadonlyMap<Digest, Descriptor>;
  readonly #places = new Map<number, Place>();

  constructor(config: CacheConfig, blobs: ReadonlyMap<Digest, Descriptor>) {
    this.#config = config;
    this.#blobs = blobs;
  }

  /** The layer where its parents put it. */
  upTo(top: number): Place {
    const path: number[] = [];
    let at = top;
    while (at !== -1 && !this.#places.has(at)) {
      const { parent } = this.#entry(at);
      if (path.length >= this.#config.layers.length) throw new FormatError(`cache config: layer ${top} lies on itself`);
      path.push(at);
      at = parent;
    }
    let place = this.#places.get(at);
    for (const index of path.toReversed()) {
      place = this.#on(place, index);
      this.#places.set(index, place);
    }
    return place;
  }

  /** The last of layers that are stacked in an order of their own. */
  stack(indexes: readonly number[]): Place {
    let place: Place;
    for (const index of indexes) place = this.#on(place, index);
    return place;
  }

  #on(below: Place, index: number): Place {
    const layer = this.#layer(index);
    if (below === 'unusable' || layer === undefined) return 'unusable';
    return { layer, below };
  }

  #layer(index: number): ToldLayer | undefined {
    const entry = this.#entry(index);
    const blob = this.#blobs.get(entry.blob);
    if (blob === undefined || layerCompression(blob.mediaType) === undefined) return undefined;
    const facts = layerFacts(entry, blob);
    const diffId = parseDigest(facts.diffId ?? '');
    if (diffId === undefined) return undefined;
    const { mediaType, digest, size } = blob;
    const createdMs = facts.createdAt === undefined ? 0 : parseCreatedAt(facts.createdAt);
    return { diffId, blob: { mediaType, digest, size }, createdMs };
  }

  #entry(index: number): CacheConfig['layers'][number] {
    const entry = this.#config.layers[index];
    if (entry === undefined) throw new FormatError(`cache config: there is no layer ${index}`);
    return entry;
  }
}
