import type { Brand } from '../oci/brand.ts';
import type { TreeUsage } from './tree-usage.ts';

/** Names one committed layer in the store; random, so it says nothing of the content. */
export type LayerId = string & Brand<'LayerId'>;

/** A root filesystem as its layers, oldest first, as in `manifest.layers`. `[]` is scratch. Any layers may be stacked in any order. */
export type LayerStack = readonly LayerId[];

/** Recipe for mounting a tree: whoever needs the tree mounts it inside a mount namespace of their own, so that a dead process leaves no mount. */
export type RootMount =
  | {
      readonly type: 'overlay';
      /** Absolute paths, lowest (oldest) first; never empty. */
      readonly lower: readonly string[];
      /** Absent for a read-only view. */
      readonly upper?: string;
      readonly work?: string;
      /** `user.overlay.*` xattrs instead of `trusted.overlay.*`: inside a user namespace. */
      readonly xattrs: 'trusted' | 'user';
    }
  | { readonly type: 'bind'; readonly source: string; readonly access: 'read-only' | 'read-write' };

/** A tree held for reading: its layers cannot be removed until it is disposed. */
export interface SnapshotView extends AsyncDisposable {
  readonly root: RootMount;
}

/** A tree being changed. Disposing it without `commit()` throws the changes away. */
export interface ActiveSnapshot extends SnapshotView {
  /** Makes what changed an immutable layer (a whole one: after a crash it is there or it is not). Nothing may use `root` any more. */
  commit(): Promise<LayerId>;
}

/** A layer as it lies on disk. */
export interface ListedLayer {
  readonly layer: LayerId;
  /** When it came there. */
  readonly createdMs: number;
}

/** Stores layers unpacked and stacks them to trees. All implementations keep a layer as the directory of its changes, whiteouts as overlayfs writes them. */
export interface Snapshotter {
  /** A tree made of `lower`, to be changed. @throws STORE_FULL, KERNEL_FEATURE_MISSING */
  prepare(lower: LayerStack): Promise<ActiveSnapshot>;
  /** A tree made of `stack`, to be read. */
  view(stack: LayerStack): Promise<SnapshotView>;
  /** Whether the layer is there, whole. */
  has(layer: LayerId): Promise<boolean>;
  /** Removes a layer that nothing holds; absent is fine. */
  remove(layer: LayerId): Promise<void>;
  /** What the layer occupies on disk; nothing where it is absent. */
  usage(layer: LayerId): Promise<TreeUsage>;
  /** Every layer on disk, also those that no index knows. */
  list(): AsyncIterable<ListedLayer>;
}
