import { BuildError, invariant } from '../core/error.ts';
import { together } from '../core/together.ts';
import type { ImportedCache } from '../core/imported-cache.ts';
import type { ResolvedImage } from '../core/source.ts';
import {
  CACHE_CONFIG_TYPE,
  type CacheConfigLayer,
  CREATED_AT_ANNOTATION,
  DIFF_ID_ANNOTATION,
  encodeCacheConfig,
} from '../oci/cache-config.ts';
import { encodeDocument } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf, sizedDigestOf } from '../oci/digest.ts';
import type { Index, Manifest } from '../oci/manifest.ts';
import { MediaTypes } from '../oci/media-type.ts';
import type { Assembler } from './assemble.ts';
import { type CacheResults, type PlacedLayer, placeLayers, selectResults } from './cache-results.ts';
import { rfc3339 } from './complete-config.ts';
import type { BlobWish, LayerBlob } from './layer-blobs.ts';

/** How a cache is to be published. */
export interface CacheImageRequest extends BlobWish {
  /** One per platform. */
  readonly platforms: readonly CacheResults[];
  readonly bases: readonly ResolvedImage[];
  readonly mode: 'min' | 'max';
  /** As an image manifest, which every registry takes; or as BuildKit's older index. */
  readonly form: 'manifest' | 'index';
  readonly signal?: AbortSignal | undefined;
}

/** What making a cache image needs. */
export interface CacheImagePorts {
  readonly assembler: Pick<Assembler, 'writeLayer'>;
  readonly imported: Pick<ImportedCache, 'layers' | 'fetchBlobs'> | undefined;
}

/** A cache as blobs: what `root` names lies in `documents`, the layers in the content store, or where they were imported from. */
export interface CacheImage {
  readonly root: Descriptor;
  readonly documents: ReadonlyMap<Digest, Uint8Array>;
  /** Everything that `root` consists of, each after what it is made of. */
  readonly blobs: readonly Descriptor[];
}

/**
 * The results in BuildKit's form of a cache (moby/buildkit cache/remotecache/v1): a config of layers and records, and a manifest that names
 * config and blobs. A layer of an imported cache is passed on as it is there, and need not be here. The same results give the same bytes.
 */
export async function makeCacheImage(ports: CacheImagePorts, request: CacheImageRequest): Promise<CacheImage> {
  const results = request.platforms.flatMap((platform) =>
    selectResults(platform, { mode: request.mode, remote: ports.imported?.layers }),
  );
  const byKey = [...new Map(results.map((result) => [result.key, result])).values()];
  const { layers, tops } = placeLayers(
    byKey.map(({ stack }) => stack),
    ports.imported?.layers,
  );
  if (request.recompress === 'force') await bringBlobs(layers, ports, request);
  const blobs = await together(layers, (layer, signal) => blobOf(layer, ports, { ...request, signal }), request.signal);
  const records = byKey.map(({ key, createdMs, durationMs }, place) => {
    const layer = tops[place];
    invariant(layer !== undefined && layer >= 0, 'a step gives at least one layer');
    return { digest: key, layers: [{ layer, createdAt: rfc3339(createdMs) }], durationMs };
  });
  const entries = blobs.map((blob, place) => entryOf(blob, layers[place]?.parent ?? -1));
  return publish(encodeCacheConfig({ layers: entries, records }), blobs, request);
}

/** What is to be compressed anew has to be here. */
async function bringBlobs(
  layers: readonly PlacedLayer[],
  { imported }: CacheImagePorts,
  { signal }: CacheImageRequest,
): Promise<void> {
  const ids = new Set(layers.map(({ layer }) => layer));
  if ((await imported?.fetchBlobs([...ids], { signal })) !== 'lost') return;
  throw new BuildError('OUTPUT_FAILED', { path: 'the cache', reason: 'layers of an imported cache cannot be fetched' });
}

/** A blob that may lie elsewhere is not brought here only to be passed on. */
async function blobOf(placed: PlacedLayer, ports: CacheImagePorts, request: CacheImageRequest): Promise<LayerBlob> {
  const { layer, lower } = placed;
  const remote = request.recompress === 'own' ? ports.imported?.layers?.lookup(layer) : undefined;
  if (remote === undefined) return ports.assembler.writeLayer({ layer, lower }, request);
  const { blob, diffId, createdMs } = remote;
  return { descriptor: blob, info: { layer, diffId, createdMs } };
}

function entryOf({ descriptor, info }: LayerBlob, parent: number): CacheConfigLayer {
  const { mediaType, digest, size } = descriptor;
  const annotations = { mediaType, diffID: info.diffId, size, createdAt: rfc3339(info.createdMs) };
  return { blob: digest, parent, annotations };
}

function publish(config: Buffer, layers: readonly LayerBlob[], request: CacheImageRequest): CacheImage {
  const docker = request.mediaTypes === 'docker';
  const configBlob = { mediaType: CACHE_CONFIG_TYPE, digest: digestOf(config), size: config.byteLength };
  const described = layers.map(({ descriptor, info }): Descriptor => {
    const annotations = {
      [DIFF_ID_ANNOTATION]: info.diffId,
      [CREATED_AT_ANNOTATION]: rfc3339(info.createdMs),
    };
    return { ...descriptor, annotations };
  });
  const blobs = [...new Map(described.map((blob) => [blob.digest, blob])).values()];
  const [mediaType, document] =
    request.form === 'manifest'
      ? [MediaTypes.manifest, toManifest(configBlob, blobs)]
      : toIndex([...blobs, configBlob], docker ? MediaTypes.dockerIndex : MediaTypes.index);
  const bytes = encodeDocument(document);
  const root = { mediaType, ...sizedDigestOf(bytes) };
  const documents = new Map<Digest, Uint8Array>([
    [configBlob.digest, config],
    [root.digest, bytes],
  ]);
  return { root, documents, blobs: [...blobs, configBlob, root] };
}

function toManifest(config: Descriptor, layers: readonly Descriptor[]): Manifest {
  return { schemaVersion: 2, mediaType: MediaTypes.manifest, config, layers };
}

function toIndex(manifests: readonly Descriptor[], mediaType: string): readonly [string, Index] {
  return [mediaType, { schemaVersion: 2, mediaType, manifests }];
}
