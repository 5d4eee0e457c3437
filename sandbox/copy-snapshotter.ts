import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ActiveSnapshot,
  LayerId,
  LayerStack,
  ListedLayer,
  Snapshotter,
  SnapshotView,
} from '../src/core/snapshot.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import type { LayerHold, LayerStore, PendingLayer } from './layer-store.ts';
import type { WorkerPool } from './worker-pool.ts';

/** What a copying snapshotter works with. */
export interface CopySnapshotterParts {
  readonly store: LayerStore;
  readonly pool: WorkerPool;
  readonly xattrs: OverlayXattrs;
}

/**
 * Trees where overlayfs is not to be had: every tree is a copy of its whole stack (sharing blocks where the file system can), and what
 * a step changed is found by comparing states. The layers on disk are the same as the overlay snapshotter's.
 */
export class CopySnapshotter implements Snapshotter {
  readonly #parts: CopySnapshotterParts;

  constructor(parts: CopySnapshotterParts) {
    this.#parts = parts;
  }

  async prepare(lower: LayerStack): Promise<ActiveSnapshot> {
    const { pool, xattrs } = this.#parts;
    const { hold, pending, copy } = await this.#open(lower);
    const release = async (): Promise<void> => {
      hold[Symbol.dispose]();
      await pending[Symbol.asyncDispose]();
    };
    try {
      const { directories } = hold;
      const baseline = await pool.call('materialise', { directories, to: copy });
      return {
        root: { type: 'bind', source: copy, access: 'read-write' },
        commit: async () => {
          await pool.call('diffCopy', { copy, baseline, directories, upper: pending.upper, xattrs });
          return pending.commit();
        },
        [Symbol.asyncDispose]: release,
      };
    } catch (error) {
      await release();
      throw error;
    }
  }

  async view(stack: LayerStack): Promise<SnapshotView> {
    const { hold, pending, copy } = await this.#open(stack);
    const release = async (): Promise<void> => {
      hold[Symbol.dispose]();
      await pending[Symbol.asyncDispose]();
    };
    try {
      await this.#parts.pool.call('materialise', { directories: hold.directories, to: copy });
      return { root: { type: 'bind', source: copy, access: 'read-only' }, [Symbol.asyncDispose]: release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  has(layer: LayerId): Promise<boolean> {
    return this.#parts.store.has(layer);
  }

  remove(layer: LayerId): Promise<void> {
    return this.#parts.store.remove(layer);
  }

  usage(layer: LayerId): Promise<TreeUsage> {
    return this.#parts.store.usage(layer);
  }

  list(): AsyncIterable<ListedLayer> {
    return this.#parts.store.list();
  }

  async #open(
    stack: LayerStack,
  ): Promise<{ readonly hold: LayerHold; readonly pending: PendingLayer; readonly copy: string }> {
    const hold = await this.#parts.store.hold(stack);
    const pending = this.#parts.store.create();
    const copy = join(pending.directory, 'copy');
    mkdirSync(copy);
    chmodSync(copy, 0o755);
    return { hold, pending, copy };
  }
}
