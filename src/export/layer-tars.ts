import type { CacheIndex, LayerInfo } from '../core/cache.ts';
import type { SlotPool } from '../core/concurrency.ts';
import type { ContentStore } from '../core/content.ts';
import type { RemoteLayers } from '../core/imported-cache.ts';
import type { LayerCodec } from '../core/layer-codec.ts';
import type { LayerId, LayerStack } from '../core/snapshot.ts';

/** What layer tars are made of, and where they go. */
export interface LayerTarPorts {
  readonly content: ContentStore;
  readonly cache: CacheIndex;
  readonly codec: LayerCodec;
  /** Layers of imported caches, which may be no more than known. */
  readonly remote?: RemoteLayers | undefined;
  /** How many layers are worked on at once. */
  readonly slots: SlotPool;
}

/** Which tar is meant: a layer's depends on what it hides below, and on how times are written. */
export interface LayerTarRequest {
  readonly layer: LayerId;
  readonly lower: LayerStack;
  /** Later file times become this one. */
  readonly epochSeconds?: number | undefined;
}

/** What a layer looks like from outside. The size of a remote layer's tar is not known. */
export type DescribedLayer = Omit<LayerInfo, 'size'>;

/** Makes layer tars, each at most once per process. Disposing stops those being made. */
export class LayerTars implements AsyncDisposable {
  readonly #ports: LayerTarPorts;
  readonly #made = new Map<string, Promise<LayerInfo>>();
  readonly #stop = new AbortController();

  constructor(ports: LayerTarPorts) {
    this.#ports = ports;
  }

  /** What the layer looks like from outside; its tar need not be in the store. */
  async describe(request: LayerTarRequest): Promise<DescribedLayer> {
    const { layer, epochSeconds } = request;
    const made = this.#made.get(keyOf(this.#overUnpacked(request)));
    if (made !== undefined) return made;
    const known = epochSeconds === undefined ? await this.#ports.cache.lookupLayer(layer) : undefined;
    const remote = epochSeconds === undefined && known === undefined ? this.#ports.remote?.lookup(layer) : undefined;
    if (remote !== undefined) return { layer, diffId: remote.diffId, createdMs: remote.createdMs };
    return known ?? this.make(request);
  }

  /** The layer with its tar in the content store as the blob `diffId`. */
  make(wanted: LayerTarRequest): Promise<LayerInfo> {
    const request = this.#overUnpacked(wanted);
    const key = keyOf(request);
    const made = this.#made.get(key);
    if (made !== undefined) return made;
    const committedMs = Date.now();
    const making = this.#ports.slots.run(() => this.#write(request, committedMs), this.#stop.signal);
    this.#made.set(key, making);
    // Whoever asks for the layer gets the failure; a layer that nobody asks for may fail.
    making.catch(() => this.#made.delete(key));
    return making;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException('no longer needed', 'AbortError'));
    await Promise.allSettled(this.#made.values());
  }

  /** A layer that lies on remote ones which nobody needed unpacked was made without them (COPY --link). */
  #overUnpacked(request: LayerTarRequest): LayerTarRequest {
    const { remote } = this.#ports;
    if (remote === undefined) return request;
    return { ...request, lower: request.lower.filter((layer) => remote.lookup(layer)?.id !== layer) };
  }

  async #write({ layer, lower, epochSeconds }: LayerTarRequest, committedMs: number): Promise<LayerInfo> {
    const { content, cache, codec } = this.#ports;
    await using draft = await content.draft();
    const { diffId, size } = await codec.writeTar(layer, lower, {
      to: draft.path,
      epochSeconds,
      signal: this.#stop.signal,
    });
    await draft.commit({ digest: diffId, size });
    const known = await cache.lookupLayer(layer);
    const info = { layer, diffId, size, createdMs: known?.createdMs ?? committedMs };
    // A pulled layer's own tar may differ from the one made here, and so may one with other times: what the layer is stays recorded.
    if (known !== undefined || epochSeconds !== undefined) return info;
    await cache.recordLayer(info);
    return (await cache.lookupLayer(layer)) ?? info;
  }
}

/** Lower layers matter only for the whiteouts they make necessary; one layer on two stacks is rare and made twice. */
function keyOf({ layer, lower, epochSeconds }: LayerTarRequest): string {
  return JSON.stringify([layer, epochSeconds ?? null, lower]);
}
