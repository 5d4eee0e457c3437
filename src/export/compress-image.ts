import type { CacheIndex } from '../core/cache.ts';
import type { SlotPool } from '../core/concurrency.ts';
import type { ContentStore } from '../core/content.ts';
import { compress } from '../oci/compression.ts';
import { decodeIndex, encodeDocument } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType, layerCompression, MediaTypes } from '../oci/media-type.ts';
import { readDecoded, readManifest } from './image-blobs.ts';

/** What compressing an image works with. */
export interface CompressPorts {
  readonly content: ContentStore;
  readonly cache: Pick<CacheIndex, 'lookupBlob' | 'recordBlob'>;
  /** How many layers are compressed at once. */
  readonly slots: SlotPool;
}

type Signal = { readonly signal?: AbortSignal | undefined };

const LEVEL = 6;
const OPTIONS = `gzip:${LEVEL}`;

/**
 * The same image with gzip layers in place of uncompressed ones: what the store keeps plain travels compressed. Blobs made once are found
 * again; config and diff IDs stay as they are. An image that has nothing to compress is itself.
 * @throws BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID, STORE_FULL
 */
export async function compressImage(ports: CompressPorts, image: Descriptor, o: Signal): Promise<Descriptor> {
  if (isIndexType(image.mediaType)) return compressIndex(ports, image, o);
  if (!isManifestType(image.mediaType)) return image;
  const manifest = await readManifest(ports.content, image);
  const layers = await Promise.all(manifest.layers.map((layer) => compressLayer(ports, layer, o)));
  if (layers.every((layer, place) => layer === manifest.layers[place])) return image;
  const compressed: Manifest = { ...manifest, layers };
  return { ...image, ...(await ports.content.write(encodeDocument(compressed), o)) };
}

async function compressIndex(ports: CompressPorts, image: Descriptor, o: Signal): Promise<Descriptor> {
  const index = await readDecoded(ports.content, image, decodeIndex);
  const manifests: Descriptor[] = [];
  for (const child of index.manifests) {
    const isHere = (await ports.content.lookup(child.digest)) !== undefined;
    manifests.push(isHere ? await compressImage(ports, child, o) : child);
  }
  if (manifests.every((child, place) => child === index.manifests[place])) return image;
  return { ...image, ...(await ports.content.write(encodeDocument({ ...index, manifests }), o)) };
}

async function compressLayer(
  { content, cache, slots }: CompressPorts,
  layer: Descriptor,
  o: Signal,
): Promise<Descriptor> {
  if (layerCompression(layer.mediaType) !== 'uncompressed') return layer;
  const mediaType = layer.mediaType === MediaTypes.dockerLayer ? MediaTypes.dockerLayerGzip : MediaTypes.layerGzip;
  const diffId: Digest = layer.digest;
  const known = await cache.lookupBlob(diffId, OPTIONS);
  const found = known === undefined ? undefined : await content.lookup(known.digest);
  if (found !== undefined) return { ...layer, mediaType, digest: found.digest, size: found.size };
  const made = await slots.run(
    () => content.write(compress(content.read(layer, o), { compression: 'gzip', level: LEVEL }), o),
    o.signal,
  );
  await cache.recordBlob(diffId, OPTIONS, { mediaType: MediaTypes.layerGzip, digest: made.digest, size: made.size });
  return { ...layer, mediaType, digest: made.digest, size: made.size };
}
