import { join } from 'node:path';
import type { LayerId } from '../core/snapshot.ts';
import { type Digest, digestHex } from '../oci/digest.ts';
import { failpoint } from './failpoint.ts';
import type { StoredTree } from './fetched-trees.ts';
import { leastValuableFirst } from './least-valuable.ts';
import { statBlob, type StoredBlob, type StoreParts, type StoreSurvey, surveyStore } from './store-survey.ts';

/** Which unused things to remove. Never what a living process has used since it opened the store. */
export interface PruneRequest {
  /**
   * `dangling`: what neither a name nor a cache record needs. `unused`: also cache records that named images do not need, with their
   * layers, blobs kept only to make exports fast, and trees that were fetched. `all`: also the names.
   */
  readonly scope: 'dangling' | 'unused' | 'all';
  /** Spares what was used at this time or later. With `dangling`, records not used since then count as garbage. */
  readonly usedBeforeMs?: number;
  /** Ids of records (store-records.ts): nothing else goes, and no name does. */
  readonly only?: ReadonlySet<string>;
  /** Stops removing records, least valuable first, as soon as blobs and layers take no more than this; asked with what they take now. */
  readonly keepBytes?: number | ((usedBytes: number) => number | undefined);
  readonly signal?: AbortSignal | undefined;
}

/** What pruning freed. */
export interface PruneResult {
  readonly bytes: number;
  /** Layers, blobs, trees and names removed. */
  readonly items: number;
}

/** How many records, or blobs, go at a time: nobody waits for more than that. */
const BATCH = 64;

/** Removes what nothing needs: mark from names and records, forget in the index, then remove from the disk. @throws STORE_FULL, STORE_UNUSABLE */
export async function pruneStore(parts: StoreParts, request: PruneRequest): Promise<PruneResult> {
  // Held throughout: what is marked as unnamed must not get a name before it is gone.
  return parts.state.locked({ name: 'names', mode: 'exclusive', signal: request.signal }, () =>
    pruneLocked(parts, request),
  );
}

async function pruneLocked(parts: StoreParts, request: PruneRequest): Promise<PruneResult> {
  const inUseSinceMs = await parts.state.oldestOwnerMs();
  const spareSinceMs = Math.min(inUseSinceMs, request.usedBeforeMs ?? Infinity);
  const removedNames =
    request.scope === 'all' && request.only === undefined ? await removeNames(parts, spareSinceMs) : 0;
  const sweep = new Sweep(parts, { ...request, inUseSinceMs, spareSinceMs });
  const result = await sweep.run();
  return { bytes: result.bytes, items: result.items + removedNames };
}

async function removeNames({ names }: StoreParts, namedBeforeMs: number): Promise<number> {
  const stay = (await names.list()).filter(({ createdMs }) => createdMs >= namedBeforeMs);
  return names.retain(new Set(stay.map(({ reference }) => reference)));
}

interface SweepRequest extends PruneRequest {
  readonly inUseSinceMs: number;
  /** Nothing used at this time or later goes. */
  readonly spareSinceMs: number;
}

type SurveyedResult = StoreSurvey['results'][number];

interface Sizes {
  readonly layers: ReadonlyMap<LayerId, number>;
  readonly trees: readonly StoredTree[];
}

class Sweep {
  readonly #parts: StoreParts;
  readonly #request: SweepRequest;
  #bytes = 0;
  #items = 0;

  constructor(parts: StoreParts, request: SweepRequest) {
    this.#parts = parts;
    this.#request = request;
  }

  async run(): Promise<PruneResult> {
    await this.#pass([]);
    const survey = await this.#survey();
    const trees = await listTrees(this.#parts);
    const sizes = this.#request.keepBytes === undefined ? undefined : await this.#layerSizes(survey);
    const excess = sizes === undefined ? Infinity : this.#excess(survey, { layers: sizes, trees });
    const before = this.#bytes;
    await this.#removeTrees(trees, excess);
    const records = this.#bytes - before < excess ? this.#expendable(survey, sizes) : [];
    // Only where it matters when to stop are they worth looking at a few at a time.
    const step = excess === Infinity ? Math.max(records.length, 1) : BATCH;
    for (let start = 0; start < records.length && this.#bytes - before < excess; start += step) {
      this.#request.signal?.throwIfAborted();
      await this.#pass(records.slice(start, start + step));
    }
    return { bytes: this.#bytes, items: this.#items };
  }

  #survey(): Promise<StoreSurvey> {
    return surveyStore(this.#parts, this.#request.inUseSinceMs);
  }

  /** Records that may go, least valuable first. */
  #expendable(survey: StoreSurvey, sizes: ReadonlyMap<LayerId, number> = new Map()): readonly number[] {
    const { scope, usedBeforeMs, spareSinceMs } = this.#request;
    if (scope === 'dangling' && usedBeforeMs === undefined) return [];
    const mayGo = ({ stack, usedMs }: SurveyedResult): boolean =>
      usedMs < spareSinceMs && this.#isMeant(stack.at(-1)) && !stack.every((layer) => survey.imageLayers.has(layer));
    // Forgetting what something else stands on frees nothing.
    const needed = new Set(survey.results.filter((result) => !mayGo(result)).flatMap(({ stack }) => stack));
    const records = survey.results.filter(
      (result) => mayGo(result) && !result.stack.every((layer) => needed.has(layer) || survey.imageLayers.has(layer)),
    );
    return leastValuableFirst(records, { bytesOf: (layer) => sizes.get(layer) ?? 0, nowMs: Date.now() });
  }

  /** Forgets `results`, then removes every layer and blob that nothing needs any more. */
  async #pass(results: readonly number[]): Promise<void> {
    const usedBeforeMs = this.#request.spareSinceMs;
    const survey = await this.#survey();
    const spared = survey.strayLayers.filter(({ createdMs }) => createdMs >= usedBeforeMs).map(({ layer }) => layer);
    const layers = [...survey.allLayers.difference(new Set(spared))].filter((layer) => this.#isMeant(layer));
    const gone = await this.#parts.cache.forget({ results, layers, keep: survey.imageLayers, usedBeforeMs });
    failpoint('prune-forgotten');
    for (const layer of gone) await this.#removeLayer(layer);
    await this.#removeBlobs(survey, new Set(gone));
  }

  async #removeLayer(layer: LayerId): Promise<void> {
    const { bytes } = await this.#parts.layers.usage(layer);
    await this.#parts.layers.remove(layer);
    failpoint('prune-removing');
    this.#bytes += bytes;
    this.#items++;
  }

  async #removeBlobs(survey: StoreSurvey, gone: ReadonlySet<LayerId>): Promise<void> {
    const kept = this.#request.scope === 'dangling' ? exportBlobs(survey, gone) : new Set<Digest>();
    const doomed = survey.stored.filter(({ digest, usedMs }) => {
      const isNeeded = survey.marked.blobs.has(digest) || kept.has(digest);
      return usedMs < this.#request.spareSinceMs && !isNeeded && this.#isMeant(digest);
    });
    for (let start = 0; start < doomed.length; start += BATCH) {
      this.#request.signal?.throwIfAborted();
      await this.#removeBatch(doomed.slice(start, start + BATCH));
    }
  }

  /** Behind the gate nobody finds a blob that goes the next moment; whoever found one before has marked it as used. */
  async #removeBatch(blobs: readonly StoredBlob[]): Promise<void> {
    const { state, content } = this.#parts;
    await state.locked({ name: 'gate', mode: 'exclusive' }, async () => {
      for (const { digest } of blobs) {
        const now = await statBlob(join(state.blobs, digestHex(digest)), digest);
        if (now === undefined || now.usedMs >= this.#request.spareSinceMs) continue;
        await content.remove(digest);
        this.#bytes += now.size;
        this.#items++;
      }
    });
  }

  /** Removes fetched trees, the longest unused first. Steps that used them stay cached without them. */
  async #removeTrees(trees: readonly StoredTree[], excess: number): Promise<void> {
    const { scope, spareSinceMs, signal } = this.#request;
    if (scope === 'dangling') return;
    const { downloads, checkouts } = this.#parts;
    const before = this.#bytes;
    for (const { identity, bytes } of trees.toSorted((a, b) => a.usedMs - b.usedMs)) {
      signal?.throwIfAborted();
      if (this.#bytes - before >= excess) return;
      if (!this.#isMeant(identity)) continue;
      const removed = [await downloads.remove(identity, spareSinceMs), await checkouts.remove(identity, spareSinceMs)];
      if (!removed.includes(true)) continue;
      this.#bytes += bytes;
      this.#items++;
    }
  }

  #isMeant(id: string | undefined): boolean {
    const { only } = this.#request;
    return only === undefined || (id !== undefined && only.has(id));
  }

  async #layerSizes(survey: StoreSurvey): Promise<ReadonlyMap<LayerId, number>> {
    const usages = await Promise.all(
      Array.from(survey.allLayers, async (layer) => [layer, (await this.#parts.layers.usage(layer)).bytes] as const),
    );
    return new Map(usages);
  }

  /** How many bytes have to go. */
  #excess(survey: StoreSurvey, sizes: Sizes): number {
    const { keepBytes } = this.#request;
    const ofTrees = sum(sizes.trees.map(({ bytes }) => bytes));
    const used = sum([...sizes.layers.values()]) + ofTrees + sum(survey.stored.map(({ size }) => size));
    return used - ((typeof keepBytes === 'function' ? keepBytes(used) : keepBytes) ?? -Infinity);
  }
}

/** Everything that was fetched. */
async function listTrees({ downloads, checkouts }: StoreParts): Promise<readonly StoredTree[]> {
  const found = await Promise.all([downloads, checkouts].map((trees) => Array.fromAsync(trees.list())));
  return found.flat();
}

/** Tars and compressed blobs of layers that stay. */
function exportBlobs(survey: StoreSurvey, gone: ReadonlySet<LayerId>): Set<Digest> {
  const diffIds = new Set(survey.layers.filter(({ layer }) => !gone.has(layer)).map(({ diffId }) => diffId));
  return new Set([...diffIds, ...survey.blobs.filter(({ diffId }) => diffIds.has(diffId)).map(({ blob }) => blob)]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
