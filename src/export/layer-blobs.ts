import type { LayerInfo } from '../core/cache.ts';
import type { BlobInfo } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import type { AssembleRequest } from '../core/image.ts';
import { compress, decompress } from '../oci/compression.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, Digester } from '../oci/digest.ts';
import { type Compression, layerCompression } from '../oci/media-type.ts';
import { familyMediaType } from './layer-media-type.ts';
import type { LayerTarPorts, LayerTarRequest, LayerTars } from './layer-tars.ts';

/** The wishes of an `AssembleRequest` that decide how a layer's blob looks. */
export type BlobWish = Pick<AssembleRequest, 'compression' | 'compressionLevel' | 'recompress' | 'mediaTypes'>;

/** A layer of an image under assembly. */
export interface ImageLayer {
  readonly tar: LayerTarRequest;
  readonly info: LayerInfo;
  /** The blob that the base image has for it. */
  readonly base?: Descriptor | undefined;
}

/** A layer's blob, and the diff ID that goes with it. */
export interface LayerBlob {
  readonly descriptor: Descriptor;
  readonly info: LayerInfo;
}

const DEFAULT_LEVELS: Readonly<Record<Compression, number>> = { uncompressed: 0, gzip: 6, zstd: 3 };

type Signal = { readonly signal?: AbortSignal | undefined };

/** Gives every layer a blob in the content store: one that is there wherever possible, else one made from the layer's tar. */
export class LayerBlobs {
  readonly #ports: LayerTarPorts;
  readonly #tars: LayerTars;
  readonly #compressing = new Map<string, Promise<BlobInfo>>();

  constructor(ports: LayerTarPorts, tars: LayerTars) {
    this.#ports = ports;
    this.#tars = tars;
  }

  /** @throws OUTPUT_INVALID where the media types have none for the compression. */
  async write(layer: ImageLayer, wish: BlobWish, o: Signal): Promise<LayerBlob> {
    const reused = wish.recompress === 'own' ? await this.#reuseBase(layer, wish) : undefined;
    if (reused !== undefined) return { descriptor: reused, info: layer.info };
    const mediaType = familyMediaType(wish.compression, wish.mediaTypes);
    if (mediaType === undefined) {
      throw new BuildError('OUTPUT_INVALID', {
        output: 'type=image',
        reason: `${wish.compression} needs oci media types`,
      });
    }
    const known = await this.#lookup(layer.info.diffId, wish);
    const { blob, info } = known === undefined ? await this.#make(layer, wish, o) : { blob: known, info: layer.info };
    return { descriptor: { mediaType, digest: blob.digest, size: blob.size }, info };
  }

  /** The base's own bytes, so that registries that have the base need no upload. */
  async #reuseBase({ base }: ImageLayer, wish: BlobWish): Promise<Descriptor | undefined> {
    const compression = base === undefined ? undefined : layerCompression(base.mediaType);
    if (base === undefined || compression === undefined) return undefined;
    const mediaType = familyMediaType(compression, wish.mediaTypes);
    if (mediaType === undefined || (await this.#ports.content.lookup(base.digest)) === undefined) return undefined;
    return { mediaType, digest: base.digest, size: base.size };
  }

  async #lookup(diffId: Digest, wish: BlobWish): Promise<BlobInfo | undefined> {
    if (wish.compression === 'uncompressed') return this.#ports.content.lookup(diffId);
    const recorded = await this.#ports.cache.lookupBlob(diffId, optionsOf(wish));
    return recorded === undefined ? undefined : this.#ports.content.lookup(recorded.digest);
  }

  async #make(
    layer: ImageLayer,
    wish: BlobWish,
    o: Signal,
  ): Promise<{ readonly blob: BlobInfo; readonly info: LayerInfo }> {
    const tar = await this.#tarSource(layer, o);
    if (wish.compression === 'uncompressed' && tar.stored !== undefined) return { blob: tar.stored, info: tar.info };
    const key = `${tar.info.diffId} ${optionsOf(wish)}`;
    const running = this.#compressing.get(key);
    if (running !== undefined) return { blob: await running, info: tar.info };
    const compressing = this.#ports.slots.run(() => this.#compress(tar, wish, o), o.signal);
    this.#compressing.set(key, compressing);
    try {
      return { blob: await compressing, info: tar.info };
    } finally {
      this.#compressing.delete(key);
    }
  }

  async #compress(tar: TarSource, wish: BlobWish, o: Signal): Promise<BlobInfo> {
    if (wish.compression === 'uncompressed') return this.#ports.content.write(tar.open(), o);
    const level = wish.compressionLevel ?? DEFAULT_LEVELS[wish.compression];
    const blob = await this.#ports.content.write(compress(tar.open(), { compression: wish.compression, level }), o);
    const mediaType = familyMediaType(wish.compression, 'oci');
    if (mediaType !== undefined) {
      await this.#ports.cache.recordBlob(tar.info.diffId, optionsOf(wish), { mediaType, ...blob });
    }
    return blob;
  }

  /** The tar from the store, from the base's blob, or made again from the unpacked layer: then it may have a diff ID of its own. */
  async #tarSource(layer: ImageLayer, o: Signal): Promise<TarSource> {
    const { content } = this.#ports;
    const stored = await content.lookup(layer.info.diffId);
    if (stored !== undefined) return { info: layer.info, stored, open: () => content.read(stored, o) };
    const { base } = layer;
    const compression = base === undefined ? undefined : layerCompression(base.mediaType);
    if (base !== undefined && compression !== undefined && (await content.lookup(base.digest)) !== undefined) {
      return {
        info: layer.info,
        open: () => verified(decompress(content.read(base, o), compression), layer.info.diffId),
      };
    }
    const info = await this.#tars.make(layer.tar);
    const blob = { digest: info.diffId, size: info.size };
    return { info, stored: blob, open: () => content.read(blob, o) };
  }
}

interface TarSource {
  readonly info: LayerInfo;
  /** Set where the tar itself is a blob of the store. */
  readonly stored?: BlobInfo;
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** How the cache index calls a compression: `gzip:6`. */
function optionsOf({ compression, compressionLevel }: BlobWish): string {
  return `${compression}:${compressionLevel ?? DEFAULT_LEVELS[compression]}`;
}

async function* verified(tar: AsyncIterable<Uint8Array>, diffId: Digest): AsyncGenerator<Uint8Array> {
  const digester = new Digester();
  for await (const chunk of tar) {
    digester.update(chunk);
    yield chunk;
  }
  const actual = digester.digest();
  if (actual !== diffId)
    throw new BuildError('DIGEST_MISMATCH', { what: 'an unpacked base layer', expected: diffId, actual });
}
