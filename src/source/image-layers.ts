import { type CacheIndex, pulledAs } from '../core/cache.ts';
import type { Slots } from '../core/concurrency.ts';
import type { ContentStore } from '../core/content.ts';
import { BuildError, isBuildError } from '../core/error.ts';
import { lookupChain, recordChain } from '../core/layer-chain.ts';
import type { LayerCodec } from '../core/layer-codec.ts';
import type { LayerId, LayerStack, Snapshotter } from '../core/snapshot.ts';
import type { ImageSource } from '../core/source.ts';
import { chainIds } from '../oci/chain-id.ts';
import { decompress } from '../oci/compression.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import { layerCompression } from '../oci/media-type.ts';
import type { ImageOrigin } from './image-origin.ts';
import { SharedTasks } from './shared-task.ts';

/** What bringing layers into the store needs. */
export interface LayerPorts {
  readonly content: ContentStore;
  readonly index: CacheIndex;
  readonly layers: LayerCodec;
  readonly snapshots: Pick<Snapshotter, 'has' | 'remove'>;
  readonly slots: Pick<Slots, 'net' | 'io'>;
}

/** One layer of an image: its blob, and the digest that the config promises for the content. */
export interface ImageLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  /** When it was made, where that is known; else it counts as made when it is unpacked. */
  readonly createdMs?: number;
}

type SourceOptions = Parameters<ImageSource['layers']>[1];

/** How layers are brought into the store. */
export interface LayersOptions extends SourceOptions {
  /** `needed`: no blobs of layers that are unpacked already. */
  readonly blobs?: 'all' | 'needed';
}

/** Fetches and unpacks the layers of images. */
export interface LayerFetcher {
  /** The stack of `layers`, oldest first. Afterwards every layer is among the snapshots, and every blob that was wanted in the content store. */
  fetch(layers: readonly ImageLayer[], origin: ImageOrigin | undefined, o: LayersOptions): Promise<LayerStack>;
}

/** Progress is told at most this often for each blob. */
const PROGRESS_MS = 50;

/** A fetcher that does for all its callers together nothing twice. */
export function openLayerFetcher(ports: LayerPorts): LayerFetcher {
  const fetches = new SharedTasks<Digest, void>();
  const unpacks = new SharedTasks<Digest, LayerStack>();
  return {
    fetch: async (layers, origin, o) => {
      const failed = new AbortController();
      const signal = o.signal === undefined ? failed.signal : AbortSignal.any([o.signal, failed.signal]);
      const fetchBlob = (blob: Descriptor, own: AbortSignal): Promise<void> =>
        fetches.run(blob.digest, (task) => storeBlob(ports, { ...o, blob, origin, signal: task }), own);
      const present = o.blobs === 'needed' ? (await knownPrefix(ports, chainsOf(layers))).length : 0;
      const fetched = layers.slice(present).map(({ blob }) => fetchBlob(blob, signal));
      const unpacked = unpackAll(ports, { ...o, layers, origin, signal, unpacks, fetchBlob });
      try {
        // The first failure of a download counts, whichever layer is being waited for.
        return (await Promise.all([unpacked, ...fetched]))[0];
      } catch (error) {
        failed.abort(error);
        await Promise.allSettled([unpacked, ...fetched]);
        throw error;
      }
    },
  };
}

interface UnpackAllRequest extends LayersOptions {
  readonly layers: readonly ImageLayer[];
  readonly origin: ImageOrigin | undefined;
  readonly signal: AbortSignal;
  /** By chain ID. */
  readonly unpacks: SharedTasks<Digest, LayerStack>;
  readonly fetchBlob: (blob: Descriptor, signal: AbortSignal) => Promise<void>;
}

/** Blobs come in parallel; each layer is unpacked as soon as its blob and the layers below are there. */
async function unpackAll(ports: LayerPorts, o: UnpackAllRequest): Promise<LayerStack> {
  const chains = chainsOf(o.layers);
  let stack = await knownPrefix(ports, chains);
  for (const [place, layer] of o.layers.entries()) {
    const chain = chains[place];
    if (chain === undefined || place < stack.length) continue;
    const lower = stack;
    const unpack = async (signal: AbortSignal): Promise<LayerStack> => {
      const present = await lookupChain(ports, chain);
      if (present !== undefined) return present;
      // With this task's own signal: whoever began the download may give up earlier.
      await o.fetchBlob(layer.blob, signal);
      const unpacked = [...lower, await unpackLayer(ports, { ...o, layer, lower, signal })];
      await recordChain(ports, chain, unpacked);
      return unpacked;
    };
    stack = await o.unpacks.run(chain, unpack, o.signal);
  }
  return stack;
}

function chainsOf(layers: readonly ImageLayer[]): readonly Digest[] {
  return chainIds(layers.map(({ diffId }) => diffId));
}

/** The longest stack that is unpacked already: all of it, for an image that was used before. */
async function knownPrefix(ports: LayerPorts, chains: readonly Digest[]): Promise<LayerStack> {
  for (const chain of chains.toReversed()) {
    const stack = await lookupChain(ports, chain);
    if (stack !== undefined) return stack;
  }
  return [];
}

/** A blob, and where it can be had. */
export interface BlobRequest {
  readonly blob: Descriptor;
  readonly origin: ImageOrigin | undefined;
  readonly progress?: LayersOptions['progress'] | undefined;
  readonly signal: AbortSignal;
}

/** Brings a blob into the content store, verified against its descriptor. */
export async function storeBlob({ content, slots }: LayerPorts, o: BlobRequest): Promise<void> {
  const { blob, origin, signal } = o;
  if ((await content.lookup(blob.digest)) !== undefined) return;
  if (origin === undefined) throw new BuildError('BLOB_NOT_FOUND', { digest: blob.digest });
  await slots.net.run(() => {
    const bytes = report(origin.blob(blob, signal), { id: blob.digest, total: blob.size, progress: o.progress });
    return content.write(bytes, { expected: blob.digest, expectedSize: blob.size, signal });
  }, signal);
}

interface UnpackRequest {
  readonly layer: ImageLayer;
  readonly lower: LayerStack;
  readonly origin: ImageOrigin | undefined;
  readonly progress?: LayersOptions['progress'] | undefined;
  readonly signal: AbortSignal;
}

async function unpackLayer(ports: LayerPorts, o: UnpackRequest): Promise<LayerId> {
  const { blob, diffId, createdMs = Date.now() } = o.layer;
  const { layer, diffId: actual, size } = await applyWhole(ports, o);
  if (actual !== diffId) {
    await ports.snapshots.remove(layer);
    throw new BuildError('DIGEST_MISMATCH', { what: `the content of layer ${blob.digest}`, expected: diffId, actual });
  }
  await ports.index.recordLayer({ layer, diffId, size, createdMs });
  await ports.index.recordBlob(diffId, pulledAs(blob.digest), blob);
  return layer;
}

/** A blob that has gone bad in the store is fetched again, once. */
async function applyWhole(ports: LayerPorts, o: UnpackRequest): ReturnType<LayerCodec['apply']> {
  const apply = (): ReturnType<LayerCodec['apply']> => ports.slots.io.run(() => applyBlob(ports, o), o.signal);
  try {
    return await apply();
  } catch (error) {
    const { blob } = o.layer;
    if (o.signal.aborted || o.origin === undefined || !(await isCorrupt(ports, o))) throw error;
    await ports.content.remove(blob.digest);
    await storeBlob(ports, { ...o, blob });
    return apply();
  }
}

async function isCorrupt({ content }: LayerPorts, { layer, signal }: UnpackRequest): Promise<boolean> {
  try {
    for await (const _ of content.read(layer.blob, { signal }));
    return false;
  } catch (error) {
    if (isBuildError(error, 'DIGEST_MISMATCH')) return true;
    throw error;
  }
}

async function applyBlob(ports: LayerPorts, o: UnpackRequest): ReturnType<LayerCodec['apply']> {
  const { blob } = o.layer;
  const compression = layerCompression(blob.mediaType);
  if (compression === undefined) throw unknownLayerType(blob);
  const id = `extracting ${blob.digest}`;
  const bytes = report(ports.content.read(blob, { signal: o.signal }), { id, total: blob.size, progress: o.progress });
  try {
    return await ports.layers.apply(decompress(bytes, compression), o.lower, { signal: o.signal });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new BuildError('LAYER_INVALID', { what: blob.digest, reason: error.message }, { cause: error });
  }
}

/** A layer that this program cannot unpack: foreign ones, whose bytes lie elsewhere, among them. */
export function unknownLayerType({ digest, mediaType }: Descriptor): BuildError {
  const reason = `its media type ${JSON.stringify(mediaType.slice(0, 128))} is not one that can be unpacked here`;
  return new BuildError('DOCUMENT_INVALID', { what: `layer ${digest}`, reason });
}

/** Passes bytes on and tells how many there were. */
async function* report(
  source: AsyncIterable<Uint8Array>,
  o: { readonly id: string; readonly total: number; readonly progress: LayersOptions['progress'] },
): AsyncIterable<Uint8Array> {
  const { id, total, progress } = o;
  let current = 0;
  let toldMs = 0;
  for await (const chunk of source) {
    current += chunk.byteLength;
    const nowMs = performance.now();
    if (current === total || nowMs - toldMs >= PROGRESS_MS) {
      toldMs = nowMs;
      progress?.({ id, current, total });
    }
    yield chunk;
  }
}
