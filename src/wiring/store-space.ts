import { statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { BuildRequest, StoreOptions } from '../build-request.ts';
import type { ProgressListener } from '../core/progress.ts';
import { pruneStore } from '../store/prune.ts';
import { bytesToKeep, type SpacePolicy } from '../store/space-policy.ts';
import { sweepStepLocks } from '../store/step-locks.ts';
import type { StoreParts } from '../store/store-survey.ts';
import type { PruneFilter } from '../store-handle.ts';
import { internalStep } from './internal-step.ts';
import type { Workers } from './workers.ts';

/** The store's parts as pruning and measuring see them. */
export function partsOf({ state, content, names, index, sandbox }: Workers): StoreParts {
  return { state, content, names, cache: index, layers: sandbox.snapshotter };
}

/** Removes what the filter means: records, layers and blobs, then cache mounts where all are meant or the room does not suffice. */
export async function prune(
  workers: Workers,
  filter: PruneFilter,
): Promise<{ readonly bytes: number; readonly items: number }> {
  const { scope, usedBeforeMs, signal } = filter;
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
    ...(Object.keys(policy).length === 0 ? {} : { keepBytes: keep }),
    signal,
  });
  const left = usedBytes - freed.bytes;
  const isEnough = (freedBytes: number): boolean => keepBytes !== undefined && left - freedBytes <= keepBytes;
  if (scope !== 'all' && keepBytes === undefined) return freed;
  const spared = (lastUsedMs: number): boolean => usedBeforeMs !== undefined && lastUsedMs >= usedBeforeMs;
  const oldest = mounts.toSorted((a, b) => a.lastUsedMs - b.lastUsedMs).filter((mount) => !spared(mount.lastUsedMs));
  let [bytes, items] = [0, 0];
  for (const id of new Set(oldest.map((mount) => mount.id))) {
    if (isEnough(bytes)) break;
    signal?.throwIfAborted();
    bytes += await workers.sandbox.cacheMounts.remove(id);
    items++;
  }
  return { bytes: freed.bytes + bytes, items: freed.items + items };
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
  const isOver = maxUsedBytes !== undefined && (await workers.index.totalBytes()) > maxUsedBytes;
  if (!isOver && freeBytes >= minFreeBytes) return;
  const reservedBytes = Math.min(RESERVED_BYTES, maxUsedBytes ?? Infinity);
  const policy = { ...(maxUsedBytes === undefined ? {} : { maxUsedBytes }), minFreeBytes, reservedBytes };
  const name = '[internal] make room in the store';
  const keepBytes = (usedBytes: number): number | undefined => bytesToKeep(policy, { usedBytes, freeBytes });
  await internalStep({ id: name, name }, o.emit, () =>
    pruneStore(partsOf(workers), { scope: 'unused', keepBytes, signal }),
  );
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
