import type { CacheIndex, CacheKey, CacheRecord, LayerInfo, StepRecord } from '../../src/core/cache.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';

/** A cache index that lives as long as the test. */
export function memoryCacheIndex(): CacheIndex {
  const records = new Map<CacheKey, CacheRecord>();
  const steps = new Map<string, ReadonlyMap<string, StepRecord>>();
  const layers = new Map<LayerId, LayerInfo>();
  const blobs = new Map<string, { readonly diffId: Digest; readonly blob: Descriptor }>();
  return {
    lookup: async (key) => records.get(key),
    record: async (keys, record) => {
      for (const key of keys) records.set(key, record);
    },
    recordSteps: async (build, told) => {
      const known = new Map(steps.get(build));
      for (const record of told) {
        const place = JSON.stringify([record.stage, record.position]);
        known.set(place, { ...known.get(place), ...record });
      }
      steps.set(build, known);
    },
    lookupSteps: async (build) =>
      [...(steps.get(build)?.values() ?? [])].toSorted(
        (a, b) => (a.stage === b.stage ? 0 : a.stage < b.stage ? -1 : 1) || a.position - b.position,
      ),
    lookupLayer: async (layer) => layers.get(layer),
    recordLayer: async (info) => {
      layers.set(info.layer, { ...info, createdMs: layers.get(info.layer)?.createdMs ?? info.createdMs });
    },
    lookupBlob: async (diffId, compression) => blobs.get(nameOf(diffId, compression))?.blob,
    recordBlob: async (diffId, compression, blob) => {
      blobs.set(nameOf(diffId, compression), { diffId, blob });
    },
    lookupBlobDiffId: async (digest) => blobs.values().find(({ blob }) => blob.digest === digest)?.diffId,
  };
}

function nameOf(diffId: Digest, compression: string): string {
  return `${diffId} ${compression}`;
}
