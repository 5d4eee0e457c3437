import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ActiveSnapshot,
  LayerId,
  LayerStack,
  ListedLayer,
  RootMount,
  Snapshotter,
  SnapshotView,
} from '../src/core/snapshot.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import type { LayerHold, LayerStore } from './layer-store.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import { storeError } from './store-error.ts';

/**
 * Trees as overlayfs stacks them. Nothing is mounted here: a tree is the recipe of its mount, so preparing one makes three directories and
 * committing it renames one. The mounts must have `redirect_dir=off,metacopy=off,index=off`, so that layers can be stacked anew.
 */
export class OverlaySnapshotter implements Snapshotter {
  readonly #store: LayerStore;
  readonly #xattrs: OverlayXattrs;

  constructor(store: LayerStore, xattrs: OverlayXattrs) {
    this.#store = store;
    this.#xattrs = xattrs;
  }

  async prepare(lower: LayerStack): Promise<ActiveSnapshot> {
    const hold = await this.#store.hold(lower);
    const pending = this.#store.create();
    const work = join(pending.directory, 'work');
    try {
      mkdirSync(work);
      adoptRoot(pending.upper, hold.directories.at(-1));
    } catch (error) {
      hold[Symbol.dispose]();
      await pending[Symbol.asyncDispose]();
      throw storeError(error, this.#store.stateDir);
    }
    return {
      root: { type: 'overlay', lower: this.#lower(hold), upper: pending.upper, work, xattrs: this.#xattrs },
      commit: async () => pending.commit(),
      [Symbol.asyncDispose]: async () => {
        hold[Symbol.dispose]();
        await pending[Symbol.asyncDispose]();
      },
    };
  }

  async view(stack: LayerStack): Promise<SnapshotView> {
    const hold = await this.#store.hold(stack);
    const release = async (): Promise<void> => {
      hold[Symbol.dispose]();
    };
    return { root: this.#viewOf(hold), [Symbol.asyncDispose]: release };
  }

  has(layer: LayerId): Promise<boolean> {
    return this.#store.has(layer);
  }

  remove(layer: LayerId): Promise<void> {
    return this.#store.remove(layer);
  }

  usage(layer: LayerId): Promise<TreeUsage> {
    return this.#store.usage(layer);
  }

  list(): AsyncIterable<ListedLayer> {
    return this.#store.list();
  }

  /** Overlayfs takes no single lower directory without an upper one, and none at all never: an empty directory fills up. */
  #lower({ directories }: LayerHold): readonly string[] {
    // Nor does it take one twice; what lies under its own like adds nothing to the tree.
    const distinct = directories.filter((directory, i) => directories.indexOf(directory, i + 1) === -1);
    return distinct.length < 2 ? [this.#store.emptyDirectory(), ...distinct] : distinct;
  }

  #viewOf(hold: LayerHold): RootMount {
    if (hold.directories.length === 0)
      return { type: 'bind', source: this.#store.emptyDirectory(), access: 'read-only' };
    return { type: 'overlay', lower: this.#lower(hold), xattrs: this.#xattrs };
  }
}

/** The root directory of a tree is its topmost layer's: it keeps the owner and mode that the one below has. */
function adoptRoot(upper: string, below: string | undefined): void {
  if (below === undefined) return;
  const { uid, gid, mode } = statSync(below);
  if (uid !== 0 || gid !== 0) chownSync(upper, uid, gid);
  if ((mode & 0o7777) !== 0o755) chmodSync(upper, mode & 0o7777);
}
