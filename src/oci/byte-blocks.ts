/**
 * Cuts the bytes of `source` into blocks of `size` bytes, the last one as long as what is left (absent where nothing is).
 * Each block is memory of its own.
 */
export async function* fixedBlocks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer, void> {
  let block = Buffer.allocUnsafeSlow(size);
  let fill = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + size - fill);
      block.set(piece, fill);
      fill += piece.length;
      at += piece.length;
      if (fill < size) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(size);
      fill = 0;
    }
  }
  if (fill > 0) yield block.subarray(0, fill);
}

/** How `mapInOrder` works on the items of a sequence. */
export interface OrderedMap<T, R> {
  /** How many tasks run at once. */
  readonly inFlight: number;
  readonly task: (item: T) => Promise<R>;
}

/** The results of `task` in the order of `source`; reads ahead no further than tasks are in flight, and leaves none behind. */
export async function* mapInOrder<T, R>(
  source: AsyncIterable<T>,
  { inFlight, task }: OrderedMap<T, R>,
): AsyncGenerator<R, void> {
  const running: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const result = task(item);
      // Awaited in its turn below; until then its failure must not count as unhandled.
      result.catch(() => {});
      running.push(result);
      if (running.length >= inFlight) yield (await running.shift()) as R;
    }
    for (let next = running.shift(); next !== undefined; next = running.shift()) yield await next;
  } finally {
    await Promise.allSettled(running);
  }
}
