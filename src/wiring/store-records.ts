import { isSelected, type RecordSelector } from '../core/store-record.ts';
import { describeRecord } from '../../solver/describe-record.ts';
import type { MeasuredRecord } from '../store/disk-usage.ts';
import { listRecords, type ListedRecord } from '../store/store-records.ts';
import type { StoreParts } from '../store/store-survey.ts';
import type { Workers } from './workers.ts';

/** The store's parts as pruning and measuring see them. */
export function partsOf({ state, content, names, index, sandbox, downloads, checkouts }: Workers): StoreParts {
  return { state, content, names, cache: index, layers: sandbox.snapshotter, downloads, checkouts };
}

/** Everything in the store for which all conditions hold. */
export async function selectRecords(
  workers: Workers,
  selectors: readonly RecordSelector[],
): Promise<readonly ListedRecord[]> {
  const records = await listRecords(partsOf(workers), { describe: describeRecord });
  return [...records, ...(await mountRecords(workers))].filter((record) => isSelected(record, selectors));
}

/** The same records with what they take. */
export function measureRecords(records: readonly ListedRecord[]): Promise<readonly MeasuredRecord[]> {
  return Promise.all(records.map(async ({ measure, ...record }) => ({ ...record, bytes: await measure() })));
}

async function mountRecords({ sandbox, state }: Workers): Promise<readonly ListedRecord[]> {
  const inUseSinceMs = await state.oldestOwnerMs();
  return (await sandbox.cacheMounts.list()).map(({ id, bytes, lastUsedMs }) => ({
    id,
    kind: 'cache mounts',
    type: 'exec.cachemount',
    description: `cache mount ${id}`,
    parents: [],
    createdMs: lastUsedMs,
    usedMs: lastUsedMs,
    inUse: lastUsedMs >= inUseSinceMs ? 'yes' : 'no',
    mutable: 'yes',
    shared: 'no',
    measure: async () => bytes,
  }));
}
