import type { ContentStore } from '../core/content.ts';
import { lookupRecordedChain, recordChain } from '../core/layer-chain.ts';
import { together } from '../core/together.ts';
import type { AssembledImage, AssembleRequest } from '../core/image.ts';
import type { LayerId, LayerStack } from '../core/snapshot.ts';
import type { ResolvedImage } from '../core/source.ts';
import { encodeInlineCache, INLINE_CACHE_MEMBER } from '../oci/cache-config.ts';
import { chainIds } from '../oci/chain-id.ts';
import { encodeDocument } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, sizedDigestOf } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { MediaTypes } from '../oci/media-type.ts';
import { completeConfig, type ConfigLayer, rfc3339 } from './complete-config.ts';
import { type BlobWish, type ImageLayer, type LayerBlob, LayerBlobs } from './layer-blobs.ts';
import { type DescribedLayer, type LayerTarPorts, type LayerTarRequest, LayerTars } from './layer-tars.ts';

/** What assembly works with. */
export type AssemblePorts = LayerTarPorts;

/** Turns layer stacks into images in the content store. Disposing stops tars that are still being made and waits for them. */
export interface Assembler extends AsyncDisposable {
  /** Starts making the layer's tar beside later steps. Failures show when the layer is assembled; a layer told twice is made once. */
  layerCommitted(layer: LayerId, lower: LayerStack): void;
  /** One layer as a blob in the content store, as an image of these bases would have it. @throws OUTPUT_INVALID, STORE_FULL */
  writeLayer(layer: LayerTarRequest, wish: LayerWish): Promise<LayerBlob>;
  /**
   * One platform's image. The same request gives the same bytes as long as the layers are remembered.
   * @throws OUTPUT_INVALID, STORE_FULL, DIGEST_MISMATCH for a base blob that is not what its manifest says.
   */
  assemble(request: AssembleRequest, o?: { readonly signal?: AbortSignal | undefined }): Promise<AssembledImage>;
}

/** How the blob of a layer is to be. */
export interface LayerWish extends BlobWish, Pick<AssembleRequest, 'bases'> {
  readonly signal?: AbortSignal | undefined;
}

/** An assembler over these ports. */
export function openAssembler(ports: AssemblePorts): Assembler {
  const tars = new LayerTars(ports);
  const blobs = new LayerBlobs(ports, tars);
  return {
    layerCommitted: (layer, lower) => {
      // `describe` first asks the index: a layer of an earlier build has its tar, or is never needed as one.
      tars.describe({ layer, lower }).catch(() => undefined);
    },
    writeLayer: async (tar, wish) => {
      const info = await tars.describe(tar);
      const base = baseBlobs(wish.bases).get(info.diffId);
      return blobs.write({ tar, info, base, imported: ports.remote?.lookup(tar.layer)?.blob }, wish, wish);
    },
    assemble: async (request, o = {}) => {
      const layers = await describeLayers(ports, tars, request);
      const written = await together(layers, (layer, signal) => blobs.write(layer, request, { signal }), o.signal);
      o.signal?.throwIfAborted();
      await recordChains(ports, request, layers);
      return writeDocuments(ports.content, request, written);
    },
    [Symbol.asyncDispose]: () => tars[Symbol.asyncDispose](),
  };
}

/** A build that lies on this image finds its layers unpacked. Rewritten tars are not what the layers hold. */
async function recordChains(
  { cache }: AssemblePorts,
  request: AssembleRequest,
  layers: readonly ImageLayer[],
): Promise<void> {
  if (request.timestamps === 'rewrite' || !(await areUnpacked(cache, layers))) return;
  const chain = chainIds(layers.map(({ info }) => info.diffId)).at(-1);
  if (chain === undefined || (await lookupRecordedChain({ index: cache }, chain)) !== undefined) return;
  await recordChain({ index: cache }, chain, request.stack);
}

/** Layers of an imported cache may be no more than blobs: the index does not know them. */
async function areUnpacked(cache: AssemblePorts['cache'], layers: readonly ImageLayer[]): Promise<boolean> {
  const imported = layers.filter((layer) => layer.imported !== undefined);
  const known = await Promise.all(imported.map(({ tar }) => cache.lookupLayer(tar.layer)));
  return !known.includes(undefined);
}

async function describeLayers(
  { remote }: AssemblePorts,
  tars: LayerTars,
  request: AssembleRequest,
): Promise<readonly ImageLayer[]> {
  const ofBases = baseBlobs(request.bases);
  const rewrite = request.timestamps === 'rewrite' ? request.epochSeconds : undefined;
  const tarsBelow = request.stack.map((layer, place) => ({ layer, lower: request.stack.slice(0, place) }));
  return together(tarsBelow, async (tar) => {
    const info = await tars.describe(tar);
    const base = ofBases.get(info.diffId);
    const imported = remote?.lookup(tar.layer)?.blob;
    if (base !== undefined || rewrite === undefined) return { tar, info, base, imported };
    const rewritten = { ...tar, epochSeconds: rewrite };
    return { tar: rewritten, info: await tars.describe(rewritten) };
  });
}

/** The bases' blobs by the diff ID of their content. */
function baseBlobs(bases: readonly ResolvedImage[]): ReadonlyMap<Digest, Descriptor> {
  return new Map(
    bases.flatMap(({ config, layers }) =>
      config.rootfs.diff_ids.flatMap((diffId, place): readonly (readonly [Digest, Descriptor])[] => {
        const blob = layers[place];
        return blob === undefined ? [] : [[diffId, blob]];
      }),
    ),
  );
}

async function writeDocuments(
  content: ContentStore,
  request: AssembleRequest,
  layers: readonly LayerBlob[],
): Promise<AssembledImage> {
  const docker = request.mediaTypes === 'docker';
  const complete = completeConfig(request.draft, configLayers(request, layers), request.epochSeconds);
  const { inlineCache } = request;
  const inlined = inlineCache === undefined ? {} : { [INLINE_CACHE_MEMBER]: encodeInlineCache(inlineCache) };
  const config = { ...complete, ...inlined };
  const configBytes = encodeDocument(config);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: docker ? MediaTypes.dockerManifest : MediaTypes.manifest,
    config: { mediaType: docker ? MediaTypes.dockerConfig : MediaTypes.config, ...sizedDigestOf(configBytes) },
    layers: layers.map(({ descriptor }) => descriptor),
    ...(Object.keys(request.annotations).length > 0 && { annotations: request.annotations }),
  };
  const manifestBytes = encodeDocument(manifest);
  await together([configBytes, manifestBytes], (bytes) => content.write(bytes));
  return {
    manifest: { mediaType: manifest.mediaType ?? MediaTypes.manifest, ...sizedDigestOf(manifestBytes) },
    config: manifest.config,
    layers: manifest.layers,
  };
}

function configLayers({ bases }: AssembleRequest, layers: readonly LayerBlob[]): readonly ConfigLayer[] {
  const baseCreated = new Map(
    bases.flatMap(({ config }) => config.rootfs.diff_ids.map((diffId) => [diffId, config.created] as const)),
  );
  return layers.map(({ info }) => {
    const created = createdOf(info, baseCreated);
    return { diffId: info.diffId, ...(created !== undefined && { created }) };
  });
}

/** When a base's layer was unpacked here says nothing of the image. */
function createdOf(info: DescribedLayer, baseCreated: ReadonlyMap<Digest, string | undefined>): string | undefined {
  return baseCreated.has(info.diffId) ? baseCreated.get(info.diffId) : rfc3339(info.createdMs);
}
