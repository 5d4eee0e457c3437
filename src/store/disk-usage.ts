import type { LayerId } from '../core/snapshot.ts';
import type { Digest } from '../oci/digest.ts';
import { type StoreParts, surveyStore } from './store-survey.ts';

/** One kind of thing in the store. */
export interface DiskUsage {
  readonly kind: 'image blobs' | 'export blobs' | 'unreferenced blobs' | 'image layers' | 'cache layers';
  readonly count: number;
  readonly bytes: number;
  /** What more than one name, or more than one cache record, needs. */
  readonly sharedBytes: number;
  /** What `prune` with the scope `unused` would free. */
  readonly reclaimableBytes: number;
}

interface Item {
  readonly bytes: number;
  readonly users: number;
}

/** What takes how much space. Bytes of unpacked layers are those on disk. */
export async function measureStore(parts: StoreParts): Promise<readonly DiskUsage[]> {
  const inUseSinceMs = await parts.state.oldestOwnerMs();
  const survey = await surveyStore(parts, inUseSinceMs);
  const layerUsers = countUsers<LayerId>(survey.results.map(({ stack }) => stack));
  const exported = new Set<Digest>([
    ...survey.layers.map(({ diffId }) => diffId),
    ...survey.blobs.map(({ blob }) => blob),
  ]);
  const layers = await Promise.all(
    Array.from(survey.allLayers, async (layer) => {
      const { bytes } = await parts.layers.usage(layer);
      return { bytes, users: layerUsers.get(layer) ?? 0, ofImage: survey.imageLayers.has(layer) };
    }),
  );
  const blobs = survey.stored.map(({ digest, size }) => ({ bytes: size, users: 1, digest }));
  const unmarked = blobs.filter(({ digest }) => !survey.marked.blobs.has(digest));
  return [
    row(
      'image blobs',
      blobs.filter(({ digest }) => survey.marked.blobs.has(digest)),
      'needed',
    ),
    row(
      'export blobs',
      unmarked.filter(({ digest }) => exported.has(digest)),
      'reclaimable',
    ),
    row(
      'unreferenced blobs',
      unmarked.filter(({ digest }) => !exported.has(digest)),
      'reclaimable',
    ),
    row(
      'image layers',
      layers.filter(({ ofImage }) => ofImage),
      'needed',
    ),
    row(
      'cache layers',
      layers.filter(({ ofImage }) => !ofImage),
      'reclaimable',
    ),
  ];
}

function row(kind: DiskUsage['kind'], items: readonly Item[], need: 'needed' | 'reclaimable'): DiskUsage {
  const bytes = sum(items);
  const sharedBytes = sum(items.filter(({ users }) => users > 1));
  return { kind, count: items.length, bytes, sharedBytes, reclaimableBytes: need === 'reclaimable' ? bytes : 0 };
}

function countUsers<T>(uses: readonly (readonly T[])[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>();
  for (const each of uses.flatMap((used) => [...new Set(used)])) counts.set(each, (counts.get(each) ?? 0) + 1);
  return counts;
}

function sum(items: readonly Item[]): number {
  return items.reduce((total, { bytes }) => total + bytes, 0);
}
