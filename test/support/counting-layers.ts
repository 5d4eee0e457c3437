import type { LayerCodec } from '../../src/core/layer-codec.ts';
import type { LayerId, LayerStack, Snapshotter } from '../../src/core/snapshot.ts';
import { Digester } from '../../src/oci/digest.ts';

/** Layers that are only counted: `apply` reads its tar to the end and keeps nothing of it. */
export interface CountingLayers {
  readonly codec: LayerCodec;
  readonly snapshots: Pick<Snapshotter, 'has' | 'remove'>;
  /** The stacks that layers were unpacked on, in order. */
  readonly applied: readonly { readonly layer: LayerId; readonly lower: LayerStack; readonly size: number }[];
  /** The layers that are there. */
  readonly present: ReadonlySet<LayerId>;
}

/** An empty set of layers, `layer-1` and so on. */
export function countingLayers(): CountingLayers {
  const applied: { layer: LayerId; lower: LayerStack; size: number }[] = [];
  const present = new Set<LayerId>();
  return {
    applied,
    present,
    codec: {
      apply: async (tar, lower, o) => {
        const digester = new Digester();
        for await (const chunk of tar) {
          o?.signal?.throwIfAborted();
          digester.update(chunk);
        }
        const layer = `layer-${applied.length + 1}` as LayerId;
        applied.push({ layer, lower, size: digester.size });
        present.add(layer);
        return { layer, size: digester.size, diffId: digester.digest() };
      },
      writeTar: () => Promise.reject(new Error('counted layers have no content')),
    },
    snapshots: {
      has: async (layer) => present.has(layer),
      remove: async (layer) => void present.delete(layer),
    },
  };
}
