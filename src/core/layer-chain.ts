import type { Digest } from '../oci/digest.ts';
import type { CacheIndex, CacheKey } from './cache.ts';
import type { LayerStack, Snapshotter } from './snapshot.ts';

/** What is asked about unpacked stacks. */
export interface ChainPorts {
  readonly index: Pick<CacheIndex, 'lookup' | 'record'>;
  readonly snapshots: Pick<Snapshotter, 'has'>;
}

/** A chain ID stands in the index beside the keys of steps: all are digests of different things. */
const keyOf = (chainId: Digest): CacheKey => chainId as CacheKey;

/** The unpacked stack with this chain ID; `undefined` unless all its layers are there. */
export async function lookupChain({ index, snapshots }: ChainPorts, chainId: Digest): Promise<LayerStack | undefined> {
  const stack = await lookupRecordedChain({ index }, chainId);
  if (stack === undefined) return undefined;
  const present = await Promise.all(stack.map((layer) => snapshots.has(layer)));
  return present.every(Boolean) ? stack : undefined;
}

/** The stack that was remembered for this chain ID, whether its layers are there or not. */
export async function lookupRecordedChain(
  { index }: Pick<ChainPorts, 'index'>,
  chainId: Digest,
): Promise<LayerStack | undefined> {
  return (await index.lookup(keyOf(chainId)))?.stack;
}

/** Remembers that `stack` is what the chain ID stands for. */
export async function recordChain(
  { index }: Pick<ChainPorts, 'index'>,
  chainId: Digest,
  stack: LayerStack,
): Promise<void> {
  await index.record([keyOf(chainId)], { stack, createdMs: Date.now(), durationMs: 0, fields: '[]' });
}
