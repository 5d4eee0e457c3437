import { type StoreParts, type StoreSurvey, surveyStore } from './store-survey.ts';

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
  const survey = await surveyStore(parts, await parts.state.oldestOwnerMs());
  const layers = await measureLayers(parts, survey);
  const exported = new Set([...survey.layers.map(({ diffId }) => diffId), ...survey.blobs.map(({ blob }) => blob)]);
  const blobs = survey.stored.map(({ digest, size }) => {
    return { bytes: size, users: 1, marked: survey.marked.blobs.has(digest), exported: exported.has(digest) };
  });
  const unmarked = blobs.filter((blob) => !blob.marked);
  return [
    row('image blobs', { items: blobs.filter((blob) => blob.marked), need: 'needed' }),
    row('export blobs', { items: unmarked.filter((blob) => blob.exported), need: 'reclaimable' }),
    row('unreferenced blobs', { items: unmarked.filter((blob) => !blob.exported), need: 'reclaimable' }),
    row('image layers', { items: layers.filter(({ ofImage }) => ofImage), need: 'needed' }),
    row('cache layers', { items: layers.filter(({ ofImage }) => !ofImage), need: 'reclaimable' }),
  ];
}

async function measureLayers(
  parts: StoreParts,
  survey: StoreSurvey,
): Promise<readonly (Item & { readonly ofImage: boolean })[]> {
  const users = countUsers(survey.results.map(({ stack }) => stack));
  return Promise.all(
    Array.from(survey.allLayers, async (layer) => {
      const { bytes } = await parts.layers.usage(layer);
      return { bytes, users: users.get(layer) ?? 0, ofImage: survey.imageLayers.has(layer) };
    }),
  );
}

interface RowContent {
  readonly items: readonly Item[];
  readonly need: 'needed' | 'reclaimable';
}

function row(kind: DiskUsage['kind'], { items, need }: RowContent): DiskUsage {
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
