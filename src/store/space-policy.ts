/** How much room a store may take, as BuildKit's prune has it. Absent fields mean no such wish. */
export interface SpacePolicy {
  /** It may not take more than this. */
  readonly maxUsedBytes?: number;
  /** This much of the disk is to stay free, whoever fills it. */
  readonly minFreeBytes?: number;
  /** The store is not made smaller than this. */
  readonly reservedBytes?: number;
}

/** What the store and its disk have now. */
export interface SpaceUse {
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** How large the store may stay, `undefined` where nothing is wished; more than it takes now where nothing has to go. */
export function bytesToKeep(policy: SpacePolicy, { usedBytes, freeBytes }: SpaceUse): number | undefined {
  const { maxUsedBytes, minFreeBytes, reservedBytes } = policy;
  if (maxUsedBytes === undefined && minFreeBytes === undefined && reservedBytes === undefined) return undefined;
  // Only a reserve: everything above it goes.
  const most = maxUsedBytes ?? (minFreeBytes === undefined ? 0 : Infinity);
  const shortage = (minFreeBytes ?? 0) - freeBytes;
  const afterwards = shortage > 0 ? Math.max(0, usedBytes - shortage) : Infinity;
  return Math.max(Math.min(most, afterwards), reservedBytes ?? 0);
}
