import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { CacheKey, CacheRecord } from './cache.ts';
import type { LayerId, LayerStack } from './snapshot.ts';

/** A layer that an imported cache tells of: what it holds, and the blob that it can be had as. */
export interface RemoteLayer {
  /** What stands for it in stacks until it is unpacked. */
  readonly id: LayerId;
  readonly diffId: Digest;
  readonly blob: Descriptor;
  /** When the step that made it ran. */
  readonly createdMs: number;
}

/** Knows layers by ids that stand for layers of an imported cache. */
export interface RemoteLayers {
  /** `undefined` for a layer that was made in this store. A remote layer stays known by its new id after it was unpacked. */
  lookup(layer: LayerId): RemoteLayer | undefined;
}

type Signal = { readonly signal?: AbortSignal | undefined };

/**
 * Results of steps that ran elsewhere. Their stacks name remote layers: nothing of them is fetched before something needs it. What cannot
 * be fetched then is lost: it is told once as a warning, and results that need it are not found any more.
 */
export interface ImportedCache {
  readonly layers: RemoteLayers;
  /** The record for `key`; its stack is of remote layers. */
  lookup(key: CacheKey): CacheRecord | undefined;
  /** `stack` with every layer unpacked in this store, under the ids that they have here; `undefined` where one is lost. */
  unpack(stack: LayerStack, o: Signal): Promise<LayerStack | undefined>;
  /** Brings the blobs of all remote layers of `stack` into the content store, verified down to their diff IDs. */
  fetchBlobs(stack: LayerStack, o: Signal): Promise<'there' | 'lost'>;
  /** The bytes of a remote layer's blob that is not in the content store; whoever takes them verifies them. `undefined` for an unknown blob. */
  openBlob(blob: Digest, signal?: AbortSignal): AsyncIterable<Uint8Array> | undefined;
}

/** The result of a step as caches for other machines tell it. */
export interface StepResult {
  /** Its recipe key: it names nothing that only this store knows. */
  readonly key: CacheKey;
  readonly stack: LayerStack;
  readonly createdMs: number;
  readonly durationMs: number;
}
