import type { CacheIndex } from '../core/cache.ts';
import type { SlotPool } from '../core/concurrency.ts';
import type { BlobInfo, ContentStore } from '../core/content.ts';
import { compress } from '../oci/compression.ts';
import type { Digest } from '../oci/digest.ts';
import { type Compression, layerMediaType } from '../oci/media-type.ts';

/** What compressing works with; `slots` bounds the layers at once. */
export interface CompressorPorts {
  readonly content: ContentStore;
  readonly cache: CacheIndex;
  readonly slots: SlotPool;
}

/** How a layer is to be compressed. Without a level it is gzip's 6, zstd's 3. */
export interface CompressionWish {
  readonly compression: Compression;
  readonly compressionLevel?: number;
}

/** A layer's tar as a source that can be read from the start. */
export interface TarSource {
  readonly diffId: Digest;
  readonly open: () => AsyncIterable<Uint8Array>;
}

type Signal = { readonly signal?: AbortSignal | undefined };

const DEFAULT_LEVELS: Readonly<Record<Compression, number>> = { uncompressed: 0, gzip: 6, zstd: 3 };

/** Makes compressed blobs of layer tars, each once: what was made in this process or recorded in the cache index is found again. */
export class LayerCompressor {
  readonly #ports: CompressorPorts;
  readonly #running = new Map<string, Promise<BlobInfo>>();

  constructor(ports: CompressorPorts) {
    this.#ports = ports;
  }

  /** The blob, if it was made before and is still in the store. */
  async lookup(diffId: Digest, wish: CompressionWish): Promise<BlobInfo | undefined> {
    if (wish.compression === 'uncompressed') return this.#ports.content.lookup(diffId);
    const recorded = await this.#ports.cache.lookupBlob(diffId, optionsOf(wish));
    return recorded === undefined ? undefined : this.#ports.content.lookup(recorded.digest);
  }

  /** Compresses into the content store, whether such a blob is there or not. */
  async write(tar: TarSource, wish: CompressionWish, o: Signal): Promise<BlobInfo> {
    const key = `${tar.diffId} ${optionsOf(wish)}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const compressing = this.#ports.slots.run(() => this.#compress(tar, wish, o), o.signal);
    this.#running.set(key, compressing);
    try {
      return await compressing;
    } finally {
      this.#running.delete(key);
    }
  }

  async #compress({ diffId, open }: TarSource, wish: CompressionWish, o: Signal): Promise<BlobInfo> {
    const { compression, compressionLevel: level = DEFAULT_LEVELS[compression] } = wish;
    const blob = await this.#ports.content.write(compress(open(), { compression, level }), o);
    if (compression === 'uncompressed') return blob;
    await this.#ports.cache.recordBlob(diffId, optionsOf(wish), { mediaType: layerMediaType(compression), ...blob });
    return blob;
  }
}

/** How the cache index calls a compression: `gzip:6`. */
function optionsOf({ compression, compressionLevel = DEFAULT_LEVELS[compression] }: CompressionWish): string {
  return `${compression}:${compressionLevel}`;
}
