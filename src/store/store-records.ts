import { isPulled } from '../core/cache.ts';
import type { StoreRecord } from '../core/store-record.ts';
import type { LayerId } from '../core/snapshot.ts';
import type { Digest } from '../oci/digest.ts';
import type { StoredTrees } from './fetched-trees.ts';
import { type StoreParts, type StoreSurvey, surveyStore } from './store-survey.ts';

/** A record, and how to find out what it takes on disk. */
export interface ListedRecord extends StoreRecord {
  readonly measure: () => Promise<number>;
}

interface ListOptions {
  /** What a cache record's fields say of the step in few words. */
  readonly describe: (fields: string) => string;
}

/** Everything in the store but cache mounts. A byte belongs to one record only. */
export async function listRecords(parts: StoreParts, o: ListOptions): Promise<readonly ListedRecord[]> {
  const inUseSinceMs = await parts.state.oldestOwnerMs();
  const survey = await surveyStore(parts, inUseSinceMs);
  const listing = { parts, survey, inUseSinceMs };
  return [
    ...blobRecords(listing),
    ...layerRecords(listing, await stepsOf(listing, o)),
    ...(await treeRecords(listing, parts.downloads, { kind: 'downloads', type: 'regular' })),
    ...(await treeRecords(listing, parts.checkouts, { kind: 'git checkouts', type: 'source.git.checkout' })),
  ];
}

interface Listing {
  readonly parts: StoreParts;
  readonly survey: StoreSurvey;
  readonly inUseSinceMs: number;
}

/** What is known of a layer from the results that have it. */
interface LayerUse {
  readonly parents: Set<LayerId>;
  users: number;
  usedMs: number;
  description: string;
}

/** By layer; a layer is described by the step whose result it tops. */
async function stepsOf({ parts, survey }: Listing, { describe }: ListOptions): Promise<ReadonlyMap<LayerId, LayerUse>> {
  const fields = await parts.cache.resultFields();
  const uses = new Map<LayerId, LayerUse>();
  for (const { id, stack, usedMs } of survey.results) {
    for (const [place, layer] of stack.entries()) {
      const use = uses.get(layer) ?? { parents: new Set(), users: 0, usedMs: 0, description: '' };
      uses.set(layer, use);
      const below = stack[place - 1];
      if (below !== undefined) use.parents.add(below);
      use.users++;
      use.usedMs = Math.max(use.usedMs, usedMs);
      if (place === stack.length - 1 && use.description === '') use.description = describe(fields.get(id) ?? '[]');
    }
  }
  return uses;
}

function layerRecords(
  { parts, survey, inUseSinceMs }: Listing,
  uses: ReadonlyMap<LayerId, LayerUse>,
): readonly ListedRecord[] {
  const infos = new Map(survey.layers.map((info) => [info.layer, info]));
  const strays = new Map(survey.strayLayers.map(({ layer, createdMs }) => [layer, createdMs]));
  const origins = new Map(
    survey.blobs.filter(({ compression }) => isPulled(compression)).map(({ diffId, blob }) => [diffId, blob]),
  );
  return Array.from(survey.allLayers, (layer): ListedRecord => {
    const [info, use, stray] = [infos.get(layer), uses.get(layer), strays.get(layer)];
    const ofImage = survey.imageLayers.has(layer);
    const usedMs = Math.max(info?.usedMs ?? 0, use?.usedMs ?? 0, stray ?? 0);
    const origin = info === undefined ? undefined : origins.get(info.diffId);
    return {
      id: layer,
      kind: ofImage ? 'image layers' : 'cache layers',
      type: 'regular',
      description: stray === undefined ? describeLayer(use?.description ?? '', origin) : 'nothing refers to it',
      parents: [...(use?.parents ?? [])],
      createdMs: info?.createdMs ?? stray ?? usedMs,
      usedMs,
      inUse: ofImage || usedMs >= inUseSinceMs ? 'yes' : 'no',
      mutable: 'no',
      shared: ofImage || (use?.users ?? 0) > 1 ? 'yes' : 'no',
      measure: async () => (await parts.layers.usage(layer)).bytes,
    };
  });
}

function describeLayer(step: string, origin: Digest | undefined): string {
  return step === '' && origin !== undefined ? `unpacked from ${origin}` : step;
}

function blobRecords({ survey, inUseSinceMs }: Listing): readonly ListedRecord[] {
  const exported = new Set<string>([
    ...survey.layers.map(({ diffId }) => diffId),
    ...survey.blobs.map(({ blob }) => blob),
  ]);
  return survey.stored.map(({ digest, size, usedMs }): ListedRecord => {
    const ofImage = survey.marked.blobs.has(digest);
    const kind = ofImage ? 'image blobs' : exported.has(digest) ? 'export blobs' : 'unreferenced blobs';
    return {
      id: digest,
      kind,
      type: ofImage ? 'regular' : 'internal',
      description: BLOB_DESCRIPTIONS[kind],
      parents: [],
      createdMs: usedMs,
      usedMs,
      inUse: ofImage || usedMs >= inUseSinceMs ? 'yes' : 'no',
      mutable: 'no',
      shared: ofImage ? 'yes' : 'no',
      measure: async () => size,
    };
  });
}

const BLOB_DESCRIPTIONS = {
  'image blobs': 'blob of an image',
  'export blobs': 'blob kept to make exports fast',
  'unreferenced blobs': 'nothing refers to it',
} as const;

async function treeRecords(
  { inUseSinceMs }: Listing,
  trees: StoredTrees,
  o: Pick<StoreRecord, 'kind' | 'type'>,
): Promise<readonly ListedRecord[]> {
  const found = await Array.fromAsync(trees.list());
  return found.map(({ identity, bytes, createdMs, usedMs }) => ({
    ...o,
    id: identity,
    description: o.kind === 'downloads' ? 'downloaded file' : 'git checkout',
    parents: [],
    createdMs,
    usedMs,
    inUse: usedMs >= inUseSinceMs ? 'yes' : 'no',
    mutable: 'no',
    shared: 'no',
    measure: async () => bytes,
  }));
}
