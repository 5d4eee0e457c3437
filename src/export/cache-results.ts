import type { RemoteLayers, StepResult } from '../core/imported-cache.ts';
import type { LayerId, LayerStack } from '../core/snapshot.ts';
import type { CacheConfigRecord } from '../oci/cache-config.ts';
import { rfc3339 } from './complete-config.ts';

/** One platform's results, and the stack of its image. */
export interface CacheResults {
  readonly results: readonly StepResult[];
  readonly stack: LayerStack;
}

/** A layer on others; two results that begin with the same layers share them. */
export interface PlacedLayer {
  readonly layer: LayerId;
  readonly lower: LayerStack;
  /** Index of the layer below, -1 for none. */
  readonly parent: number;
}

/** Every layer of the stacks in each place where it lies, those below before those above, and by stack the index of its topmost one. */
export function placeLayers(
  stacks: readonly LayerStack[],
  remote: RemoteLayers | undefined,
): {
  readonly layers: readonly PlacedLayer[];
  readonly tops: readonly number[];
} {
  const layers: PlacedLayer[] = [];
  const places = new Map<string, number>();
  const tops = stacks.map((stack) => {
    let parent = -1;
    for (const [height, layer] of stack.entries()) {
      const id = `${parent} ${identityOf(layer, remote)}`;
      const place = places.get(id) ?? layers.push({ layer, lower: stack.slice(0, height), parent }) - 1;
      places.set(id, place);
      parent = place;
    }
    return parent;
  });
  return { layers, tops };
}

/** `min`: the results whose layers the image has; they cost no blob that the image does not have. */
export function selectResults(
  { results, stack }: CacheResults,
  o: { readonly mode: 'min' | 'max'; readonly remote: RemoteLayers | undefined },
): readonly StepResult[] {
  if (o.mode === 'max') return results;
  const inImage = new Set(stack.map((layer) => identityOf(layer, o.remote)));
  return results.filter((result) => result.stack.every((layer) => inImage.has(identityOf(layer, o.remote))));
}

/** A remote layer that was unpacked is still the same one. */
function identityOf(layer: LayerId, remote: RemoteLayers | undefined): LayerId {
  return remote?.lookup(layer)?.id ?? layer;
}

/** The records of an inline cache: by the topmost layer where the result is how the image begins, else layer by layer. */
export function inlineRecords(of: CacheResults, remote: RemoteLayers | undefined): readonly CacheConfigRecord[] {
  const image = of.stack.map((layer) => identityOf(layer, remote));
  return selectResults(of, { mode: 'min', remote }).map(({ key, stack, createdMs, durationMs }) => {
    const createdAt = rfc3339(createdMs);
    const layers = stack.map((layer) => image.indexOf(identityOf(layer, remote)));
    const isPrefix = stack.every((layer, place) => image[place] === identityOf(layer, remote));
    const result = isPrefix
      ? { layers: [{ layer: stack.length - 1, createdAt }] }
      : { chains: [{ layers, createdAt }] };
    return { digest: key, ...result, durationMs };
  });
}
