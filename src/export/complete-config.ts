import type { ImageDraft } from '../core/image.ts';
import type { Digest } from '../oci/digest.ts';
import type { HistoryEntry, ImageConfig } from '../oci/image-config.ts';

/** A layer as config and history speak of it. */
export interface ConfigLayer {
  readonly diffId: Digest;
  /** When it was made; absent for a base's layer whose image does not say. */
  readonly created?: string;
}

const EPOCH = rfc3339(0);

/**
 * The whole config of an image with these `layers`, oldest first. Its history has exactly one non-empty entry per layer, and every
 * `created` comes from a layer or from `epochSeconds` (SOURCE_DATE_EPOCH, which nothing may be later than): never from the clock, so
 * that building again from the cache gives the same bytes.
 */
export function completeConfig(draft: ImageDraft, layers: readonly ConfigLayer[], epochSeconds?: number): ImageConfig {
  const history = dateHistory(matchHistory(draft.history, layers.length), layers, epochSeconds);
  return {
    ...draft.config,
    created: history.at(-1)?.created ?? rfc3339((epochSeconds ?? 0) * 1000),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history,
  };
}

/** Milliseconds since the epoch as RFC 3339 in UTC, without zeros at the end of a fraction: as Go writes times, so that configs can be equal. */
export function rfc3339(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.?0+Z$/, 'Z');
}

/**
 * A base's history is optional and may lie: missing entries are put before the others, and the oldest surplus ones are marked empty,
 * because the newest entries are this build's own and true.
 */
function matchHistory(history: readonly HistoryEntry[], layerCount: number): readonly HistoryEntry[] {
  const missing = layerCount - history.filter((entry) => entry.empty_layer !== true).length;
  if (missing >= 0)
    return [...Array.from({ length: missing }, () => ({ comment: 'layer without history' })), ...history];
  let surplus = -missing;
  return history.map((entry) => {
    if (entry.empty_layer === true || surplus === 0) return entry;
    surplus--;
    return { ...entry, empty_layer: true };
  });
}

function dateHistory(
  history: readonly HistoryEntry[],
  layers: readonly ConfigLayer[],
  epochSeconds: number | undefined,
): readonly HistoryEntry[] {
  const limit = epochSeconds === undefined ? undefined : rfc3339(epochSeconds * 1000);
  const first = layers.find(({ created }) => created !== undefined)?.created;
  let preceding = limit ?? history.find(({ created }) => created !== undefined)?.created ?? first ?? EPOCH;
  let nextLayer = 0;
  return history.map((entry) => {
    const layer = entry.empty_layer === true ? undefined : layers[nextLayer++];
    const created = entry.created ?? limit ?? layer?.created ?? preceding;
    preceding = limit !== undefined && !(Date.parse(created) <= Date.parse(limit)) ? limit : created;
    return { ...entry, created: preceding };
  });
}
