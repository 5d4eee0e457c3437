import { BuildError } from '../core/error.ts';
import {
  CACHE_CONFIG_TYPE,
  type CacheConfig,
  type CacheConfigRecord,
  CREATED_AT_ANNOTATION,
  decodeCacheConfig,
  decodeInlineCache,
  DIFF_ID_ANNOTATION,
} from '../oci/cache-config.ts';
import { decodeImageConfig, decodeIndex, decodeManifest } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { FormatError } from '../oci/format-error.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Manifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/media-type.ts';
import type { ImageOrigin } from './image-origin.ts';

/** A cache as it was published: its config, and the descriptors of the blobs that the config names. */
export interface CacheDocument {
  readonly config: CacheConfig;
  readonly blobs: readonly Descriptor[];
}

/** Where a cache lies. */
export interface CachePlace {
  readonly root: Descriptor;
  readonly origin: ImageOrigin;
  readonly signal?: AbortSignal | undefined;
}

/** Nobody publishes an image for more platforms. */
const MAX_IMAGES = 256;

/**
 * The caches that `root` leads to, in BuildKit's forms: an image manifest or an index with a cache config, or images with inline caches.
 * Empty for images without any. @throws DOCUMENT_INVALID, and what the origin throws
 */
export async function readCacheDocuments(place: CachePlace): Promise<readonly CacheDocument[]> {
  const { root } = place;
  if (isManifestType(root.mediaType)) return readManifestCache(place, root);
  if (!isIndexType(root.mediaType)) throw invalid(root, `its media type ${quoted(root.mediaType)} is none of a cache`);
  const { manifests } = await read(place, root, decodeIndex);
  const config = manifests.find(({ mediaType }) => mediaType === CACHE_CONFIG_TYPE);
  if (config !== undefined) {
    const blobs = manifests.filter((entry) => entry !== config);
    return [{ config: await read(place, config, decodeCacheConfig), blobs }];
  }
  const images = manifests.filter(({ mediaType }) => isManifestType(mediaType));
  if (images.length > MAX_IMAGES) throw invalid(root, `it lists more than ${MAX_IMAGES} images`);
  return (await Promise.all(images.map((image) => readManifestCache(place, image)))).flat();
}

async function readManifestCache(place: CachePlace, descriptor: Descriptor): Promise<readonly CacheDocument[]> {
  const manifest = await read(place, descriptor, decodeManifest);
  if (manifest.config.mediaType === CACHE_CONFIG_TYPE) {
    return [{ config: await read(place, manifest.config, decodeCacheConfig), blobs: manifest.layers }];
  }
  return read(place, manifest.config, (bytes) => {
    const records = decodeInlineCache(bytes);
    return records === undefined ? [] : [inlineDocument(manifest, decodeImageConfig(bytes), records)];
  });
}

/** The records of an inline cache count the layers of their image. */
function inlineDocument(
  { layers }: Manifest,
  image: ImageConfig,
  records: readonly CacheConfigRecord[],
): CacheDocument {
  const created = image.history.filter(({ empty_layer: isEmpty }) => isEmpty !== true);
  if (image.rootfs.diff_ids.length !== layers.length) throw new FormatError('manifest and config differ in layers');
  const described = layers.map(({ digest: blob }, place) => {
    const diffID = image.rootfs.diff_ids[place];
    const createdAt = created.length === layers.length ? created[place]?.created : undefined;
    const annotations = {
      ...(diffID === undefined ? {} : { diffID }),
      ...(createdAt === undefined ? {} : { createdAt }),
    };
    return { blob, parent: place - 1, annotations };
  });
  return { config: { layers: described, records }, blobs: layers };
}

/** What a layer's config entry and its descriptor say together. */
export function layerFacts(
  { annotations = {} }: CacheConfig['layers'][number],
  blob: Descriptor,
): { readonly diffId: string | undefined; readonly createdAt: string | undefined } {
  return {
    diffId: annotations.diffID ?? blob.annotations?.[DIFF_ID_ANNOTATION],
    createdAt: annotations.createdAt ?? blob.annotations?.[CREATED_AT_ANNOTATION],
  };
}

async function read<T>(place: CachePlace, descriptor: Descriptor, decode: (bytes: Uint8Array) => T): Promise<T> {
  const bytes = await place.origin.document(descriptor, place.signal);
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof FormatError) throw invalid(descriptor, error.message, error);
    throw error;
  }
}

function invalid({ digest }: Descriptor, reason: string, cause?: unknown): BuildError {
  return new BuildError('DOCUMENT_INVALID', { what: `cache ${digest}`, reason }, { cause });
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}
