/**
 * One task for each item, all at once; gives their results in the items' order. At the first failure the signal that the tasks were given
 * aborts, and that failure is thrown once every task has settled: nothing works on behind the back of a caller that goes on to clean up.
 */
export async function together<Item, Result>(
  items: readonly Item[],
  task: (item: Item, signal: AbortSignal) => Promise<Result>,
  outer?: AbortSignal,
): Promise<readonly Result[]> {
  const failed = new AbortController();
  const signal = outer === undefined ? failed.signal : AbortSignal.any([outer, failed.signal]);
  const tasks = items.map((item) => task(item, signal));
  try {
    return await Promise.all(tasks);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(tasks);
    throw error;
  }
}
