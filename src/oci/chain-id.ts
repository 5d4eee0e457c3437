import { type Digest, digestOf } from './digest.ts';

/**
 * The chain ID of each prefix of a stack of layers (image-spec config.md#layer-chainid): what a layer comes to depends on those below it,
 * so that an unpacked layer is known by its chain ID, never by its diff ID alone.
 */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
