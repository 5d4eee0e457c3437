import type { BlobInfo } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import type { AssembleRequest } from '../core/image.ts';
import { decompress } from '../oci/compression.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { layerCompression } from '../oci/media-type.ts';
import { type CompressionWish, LayerCompressor } from './layer-compressor.ts';
import { familyMediaType } from './layer-media-type.ts';
import type { DescribedLayer, LayerTarPorts, LayerTarRequest, LayerTars } from './layer-tars.ts';
import { verifyBytes } from './verify-bytes.ts';

/** The wishes of an `AssembleRequest` that decide how a layer's blob looks. */
export type BlobWish = CompressionWish & Pick<AssembleRequest, 'recompress' | 'mediaTypes'>;

/** A layer of an image under assembly. */
export interface ImageLayer {
  readonly tar: LayerTarRequest;
  readonly info: DescribedLayer;
  /** The blob that the base image has for it. */
  readonly base?: Descriptor | undefined;
  /** The blob that an imported cache has for it. */
  readonly imported?: Descriptor | undefined;
}

/** A layer's blob, and the diff ID that goes with it. */
export interface LayerBlob {
  readonly descriptor: Descriptor;
  readonly info: DescribedLayer;
}

type Signal = { readonly signal?: AbortSignal | undefined };

interface StoredTar {
  readonly info: DescribedLayer;
  /** Set where the tar itself is a blob of the store. */
  readonly stored?: BlobInfo;
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** Gives every layer a blob in the content store: one that is there wherever possible, else one made from the layer's tar. */
export class LayerBlobs {
  readonly #ports: LayerTarPorts;
  readonly #tars: LayerTars;
  readonly #compressor: LayerCompressor;

  constructor(ports: LayerTarPorts, tars: LayerTars) {
    this.#ports = ports;
    this.#tars = tars;
    this.#compressor = new LayerCompressor(ports);
  }

  /** @throws OUTPUT_INVALID where the media types have none for the compression. */
  async write(layer: ImageLayer, wish: BlobWish, o: Signal): Promise<LayerBlob> {
    const reused = wish.recompress === 'own' ? await this.#reuse(layer, wish) : undefined;
    if (reused !== undefined) return { descriptor: reused, info: layer.info };
    const mediaType = familyMediaType(wish.compression, wish.mediaTypes);
    if (mediaType === undefined) {
      const reason = `${wish.compression} needs oci media types`;
      throw new BuildError('OUTPUT_INVALID', { output: 'type=image', reason });
    }
    const known = await this.#compressor.lookup(layer.info.diffId, wish);
    const { blob, info } = known === undefined ? await this.#make(layer, wish, o) : { blob: known, info: layer.info };
    return { descriptor: { mediaType, digest: blob.digest, size: blob.size }, info };
  }

  /** The base's own bytes, so that registries that have the base need no upload; or the cache's, where they are compressed as wished. */
  async #reuse({ base, imported }: ImageLayer, wish: BlobWish): Promise<Descriptor | undefined> {
    const reused = base === undefined ? undefined : await this.#presentBlob(base, wish);
    if (reused !== undefined || imported === undefined || wish.compressionLevel !== undefined) return reused;
    return layerCompression(imported.mediaType) === wish.compression ? this.#presentBlob(imported, wish) : undefined;
  }

  async #presentBlob(blob: Descriptor, wish: BlobWish): Promise<Descriptor | undefined> {
    const compression = layerCompression(blob.mediaType);
    const mediaType = compression === undefined ? undefined : familyMediaType(compression, wish.mediaTypes);
    if (mediaType === undefined || (await this.#ports.content.lookup(blob.digest)) === undefined) return undefined;
    return { mediaType, digest: blob.digest, size: blob.size };
  }

  async #make(
    layer: ImageLayer,
    wish: BlobWish,
    o: Signal,
  ): Promise<{ readonly blob: BlobInfo; readonly info: DescribedLayer }> {
    const { info, stored, open } = await this.#findTar(layer, o);
    if (wish.compression === 'uncompressed' && stored !== undefined) return { blob: stored, info };
    return { blob: await this.#compressor.write({ diffId: info.diffId, open }, wish, o), info };
  }

  /** The tar from the store, from a blob that came with it, or made again from the unpacked layer: then it may have a diff ID of its own. */
  async #findTar({ info, base, imported, tar }: ImageLayer, o: Signal): Promise<StoredTar> {
    const { content } = this.#ports;
    const stored = await content.lookup(info.diffId);
    if (stored !== undefined) return { info, stored, open: () => content.read(stored, o) };
    for (const blob of [base, imported]) {
      const compression = blob === undefined ? undefined : layerCompression(blob.mediaType);
      if (blob === undefined || compression === undefined) continue;
      if ((await content.lookup(blob.digest)) === undefined) continue;
      const promise = { what: 'an unpacked layer', expected: info.diffId };
      return { info, open: () => verifyBytes(decompress(content.read(blob, o), compression), promise) };
    }
    const made = await this.#tars.make(tar);
    const blob = { digest: made.diffId, size: made.size };
    return { info: made, stored: blob, open: () => content.read(blob, o) };
  }
}
