import type { LayerCodec, LayerTar } from '../src/core/layer-codec.ts';
import type { LayerId, LayerStack } from '../src/core/snapshot.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import { isLone } from './lone-mark.ts';
import { linkPackedTar } from './packed-layer.ts';
import type { LayerStore } from './layer-store.ts';
import type { WorkerPool } from './worker-pool.ts';

/** What the file work of a sandbox shares. */
export interface FileWork {
  readonly store: LayerStore;
  readonly pool: WorkerPool;
  readonly xattrs: OverlayXattrs;
}

/** Layers to tars and back, in worker threads. */
export class WorkerLayerCodec implements LayerCodec {
  readonly #work: FileWork;

  constructor(work: FileWork) {
    this.#work = work;
  }

  async apply(
    tar: AsyncIterable<Uint8Array>,
    lower: LayerStack,
    o: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<LayerTar & { readonly layer: LayerId }> {
    const { store, pool, xattrs } = this.#work;
    using hold = await store.hold(lower, o);
    await using pending = store.create();
    const args = { upper: pending.upper, lower: hold.directories, xattrs };
    const applied = await pool.sink('applyTar', args, { bytes: tar, signal: o.signal });
    return { ...applied, layer: pending.commit() };
  }

  async writeTar(
    layer: LayerId,
    lower: LayerStack,
    o: { readonly to: string; readonly epochSeconds?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<LayerTar> {
    const { store, pool } = this.#work;
    const packed = o.epochSeconds === undefined ? await this.#linkPacked(layer, o.to) : undefined;
    if (packed !== undefined) return packed;
    using held = new DisposableStack();
    held.use(await store.hold([layer], o));
    const { to, epochSeconds } = o;
    const write = (directories: readonly string[]): Promise<LayerTar> => {
      const args = { layer: store.directoryOf(layer), lower: directories, to, epochSeconds };
      return pool.call('writeTar', args, { signal: o.signal });
    };
    return await store.look(isLone(store.directoryOf(layer)) ? [] : lower, write, o);
  }

  /** A packed layer needs no reading: its tar is known. */
  async #linkPacked(layer: LayerId, to: string): Promise<LayerTar | undefined> {
    const { store } = this.#work;
    using held = new DisposableStack();
    held.use(await store.hold([layer], { form: 'any' }));
    return linkPackedTar(store.packedDirectoryOf(layer), to);
  }
}
