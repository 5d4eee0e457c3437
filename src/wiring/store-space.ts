import { statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { BuildRequest, StoreOptions } from '../build-request.ts';
import type { ProgressListener } from '../core/progress.ts';
import type { RecordSelector } from '../core/store-record.ts';
import { pruneStore } from '../store/prune.ts';
import { bytesToKeep, type SpacePolicy } from '../store/space-policy.ts';
import { sweepStepLocks } from '../store/step-locks.ts';
import type { PruneFilter } from '../store-handle.ts';
import { internalStep } from './internal-step.ts';
import { partsOf, selectRecords } from './store-records.ts';
import type { Workers } from './workers.ts';

/**
 * Removes what the filter means: records, layers, blobs and fetched trees, then cache mounts where all are meant, where conditions
 * select them, or where the room does not suffice.
 */
export async function prune(
  workers: Workers,
  filter: PruneFilter,
): Promise<{ readonly bytes: number; readonly items: number }> {
  const { scope, usedBeforeMs, selectors = [], signal } = filter;
  const only = selectors.length === 0 ? undefined : await idsOf(workers, selectors);
  await sweepStepLocks(workers.state);
  const mounts = await workers.sandbox.cacheMounts.list();
  const mountBytes = mounts.reduce((total, { bytes }) => total + bytes, 0);
  const policy = policyOf(filter);
  const freeBytes = await freeOn(workers.state.root);
  let usedBytes = 0;
  let keepBytes: number | undefined;
  const keep = (records: number): number | undefined => {
    usedBytes = records + mountBytes;
    keepBytes = bytesToKeep(policy, { usedBytes, freeBytes });
    return keepBytes === undefined ? undefined : keepBytes - mountBytes;
  };
  const freed = await pruneStore(partsOf(workers), {
    scope,
    ...(usedBeforeMs === undefined ? {} : { usedBeforeMs }),
    ...(only === undefined ? {} : { only }),
    ...(Object.keys(policy).length === 0 ? {} : { keepBytes: keep }),
    signal,
  });
  const left = usedBytes - freed.bytes;
  const isEnough = (freedBytes: number): boolean => keepBytes !== undefined && left - freedBytes <= keepBytes;
  if (scope !== 'all' && keepBytes === undefined && only === undefined) return freed;
  const mayGo = ({ id, lastUsedMs }: (typeof mounts)[number]): boolean =>
    lastUsedMs < (usedBeforeMs ?? Infinity) && only?.has(id) !== false;
  const oldest = mounts.filter(mayGo).toSorted((a, b) => a.lastUsedMs - b.lastUsedMs);
  let [bytes, items] = [0, 0];
  for (const id of new Set(oldest.map((mount) => mount.id))) {
    if (isEnough(bytes)) break;
    signal?.throwIfAborted();
    bytes += await workers.sandbox.cacheMounts.remove(id);
    items++;
  }
  return { bytes: freed.bytes + bytes, items: freed.items + items };
}

async function idsOf(workers: Workers, selectors: readonly RecordSelector[]): Promise<ReadonlySet<string>> {
  return new Set((await selectRecords(workers, selectors)).map(({ id }) => id));
}

/** Without a cap of the user's, this much of the disk stays free: 5 %, but no more than 2 GiB. */
const FREE_SHARE = 0.05;
const FREE_BYTES = 2 * 1024 ** 3;
/** A disk that others have filled is no reason to build without any cache. */
const RESERVED_BYTES = 1024 ** 3;

/**
 * Makes room before a build writes: the store is brought below its cap, and some of the disk is left free, as far as what no image and no
 * running build needs can do that. Costs one system call where there is no cap and room enough.
 */
export async function makeRoom(
  workers: Workers,
  o: {
    readonly request: BuildRequest;
    readonly store: StoreOptions;
    readonly emit: ProgressListener;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { signal } = o;
  const maxUsedBytes = o.request.maxUsedBytes ?? o.store.maxUsedBytes;
  const disk = statfsSync(workers.state.root);
  const minFreeBytes = Math.min(FREE_SHARE * disk.blocks * disk.bsize, FREE_BYTES);
  const freeBytes = disk.bavail * disk.bsize;
  const isOver = maxUsedBytes !== undefined && (await aboutBytes(workers)) > maxUsedBytes;
  if (!isOver && freeBytes >= minFreeBytes) return;
  const reservedBytes = Math.min(RESERVED_BYTES, maxUsedBytes ?? Infinity);
  const policy = { ...(maxUsedBytes === undefined ? {} : { maxUsedBytes }), minFreeBytes, reservedBytes };
  const name = '[internal] make room in the store';
  const keepBytes = (usedBytes: number): number | undefined => bytesToKeep(policy, { usedBytes, freeBytes });
  await internalStep({ id: name, name }, o.emit, () =>
    pruneStore(partsOf(workers), { scope: 'unused', keepBytes, signal }),
  );
}

/** About what the store takes, without looking at every file. */
async function aboutBytes({ index, downloads, checkouts }: Workers): Promise<number> {
  let bytes = await index.totalBytes();
  for await (const tree of downloads.list()) bytes += tree.bytes;
  for await (const tree of checkouts.list()) bytes += tree.bytes;
  return bytes;
}

function policyOf({ keepBytes, minFreeBytes, reservedBytes }: PruneFilter): SpacePolicy {
  return {
    ...(keepBytes === undefined ? {} : { maxUsedBytes: keepBytes }),
    ...(minFreeBytes === undefined ? {} : { minFreeBytes }),
    ...(reservedBytes === undefined ? {} : { reservedBytes }),
  };
}

async function freeOn(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
