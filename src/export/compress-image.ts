import { together } from '../core/together.ts';
import { decodeIndex, encodeDocument } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Index, Manifest } from '../oci/manifest.ts';
import { isIndexType, layerCompression, MediaTypes } from '../oci/media-type.ts';
import { readDecoded, readManifest } from './image-blobs.ts';
import { type CompressionWish, type CompressorPorts, LayerCompressor } from './layer-compressor.ts';
import { familyMediaType } from './layer-media-type.ts';

/** How to compress an image's layers. */
export interface CompressImageRequest extends CompressionWish {
  readonly image: Descriptor;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The image in the store with its uncompressed layers compressed, as it goes over a network. Layers that are compressed already, the
 * config and the diff IDs stay as they are; an image without uncompressed layers is given back itself.
 * @throws BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID, STORE_FULL
 */
export async function compressImage(ports: CompressorPorts, request: CompressImageRequest): Promise<Descriptor> {
  const compressor = new LayerCompressor(ports);
  const convert = async (image: Descriptor, signal = request.signal): Promise<Descriptor> => {
    if (!isIndexType(image.mediaType)) return convertManifest(ports, { ...request, image, signal, compressor });
    const index = await readDecoded(ports.content, image, decodeIndex);
    const manifests = await together(index.manifests, convert, signal);
    return writeChanged(ports, image, { before: index, after: { ...index, manifests } });
  };
  return convert(request.image);
}

interface Conversion extends CompressImageRequest {
  readonly compressor: LayerCompressor;
}

async function convertManifest(
  ports: CompressorPorts,
  { image, compressor, signal, ...wish }: Conversion,
): Promise<Descriptor> {
  const manifest = await readManifest(ports.content, image);
  const family = image.mediaType === MediaTypes.dockerManifest ? 'docker' : 'oci';
  const mediaType = familyMediaType(wish.compression, family);
  if (mediaType === undefined) return image;
  const compress = async (layer: Descriptor, own: AbortSignal): Promise<Descriptor> => {
    if (layerCompression(layer.mediaType) !== 'uncompressed') return layer;
    const tar = { diffId: layer.digest, open: () => ports.content.read(layer, { signal: own }) };
    const blob = (await compressor.lookup(tar.diffId, wish)) ?? (await compressor.write(tar, wish, { signal: own }));
    return { ...layer, mediaType, digest: blob.digest, size: blob.size };
  };
  const layers = await together(manifest.layers, compress, signal);
  return writeChanged(ports, image, { before: manifest, after: { ...manifest, layers } });
}

/** Stores the new document where it differs, with the old descriptor's annotations and platform. */
async function writeChanged<T extends Manifest | Index>(
  { content }: CompressorPorts,
  image: Descriptor,
  { before, after }: { readonly before: T; readonly after: T },
): Promise<Descriptor> {
  const bytes = encodeDocument(after);
  // Another program's document is spelled another way; as long as it says the same, its own bytes stay.
  if (bytes.equals(encodeDocument(before))) return image;
  return { ...image, ...(await content.write(bytes)) };
}
