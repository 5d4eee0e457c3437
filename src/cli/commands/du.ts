import type { RecordRow, UsageRow } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { cleanText } from '../control-sequences.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { formatTable } from '../format-table.ts';
import { formatAge } from '../format-time.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';
import { recordFilterFlag, type RecordFilterFlags, toRecordFilter } from '../record-filter-flag.ts';

interface DuFlags extends RecordFilterFlags {
  readonly verbose: 'yes';
}

const duFlags: readonly AnyFlag<DuFlags>[] = [
  recordFilterFlag,
  { name: 'verbose', field: 'verbose', doc: 'list every record instead of one row of each kind', parse: () => 'yes' },
];

/** `tsbuild du`: what takes space, and how much of it no image and no running build needs. */
export const duCommand: CommandModule = {
  flags: [...duFlags, ...listFlags],
  operands: { min: 0, max: 0 },
  run: async ({ raw, io, store, loadApi }) => {
    const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
    const { verbose, filter: text } = parseFlags<DuFlags>(duFlags, raw, io);
    const filter = toRecordFilter(text, io.now());
    const api = await loadApi();
    await using handle = await api.openStore(store);
    if (verbose === 'yes') {
      const records = (await handle.records(filter)).toSorted((a, b) => b.bytes - a.bytes);
      io.stdout.write(
        format === 'json' ? formatJson(records) : records.map((row) => formatRecord(row, io.now())).join('\n'),
      );
    } else {
      const rows = await handle.diskUsage(filter);
      io.stdout.write(format === 'json' ? formatJson(rows) : formatRows(rows));
    }
    return 0;
  },
};

/** As buildx writes one: a line for each fact. */
function formatRecord(record: RecordRow, nowMs: number): string {
  const { id, kind, type, parents, description, createdMs, usedMs, inUse, mutable, shared, bytes } = record;
  const asText = { yes: 'true', no: 'false' } as const;
  const facts: readonly (readonly [string, string])[] = [
    ['ID', id],
    ['Parents', parents.join(', ')],
    ['Kind', kind],
    ['Type', type],
    ['Description', description],
    ['Created at', new Date(createdMs).toISOString()],
    ['Last used', formatAge(nowMs - usedMs)],
    ['Mutable', asText[mutable]],
    ['Reclaimable', asText[inUse === 'yes' ? 'no' : 'yes']],
    ['Shared', asText[shared]],
    ['Size', formatSize(bytes)],
  ];
  return facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${`${name}:`.padEnd(14)}${cleanText(value)}\n`)
    .join('');
}

function formatRows(rows: readonly UsageRow[]): string {
  const sum = (field: 'count' | 'bytes' | 'sharedBytes' | 'reclaimableBytes'): number =>
    rows.reduce((total, row) => total + row[field], 0);
  const total: UsageRow = {
    kind: 'total',
    count: sum('count'),
    bytes: sum('bytes'),
    sharedBytes: sum('sharedBytes'),
    reclaimableBytes: sum('reclaimableBytes'),
  };
  return formatTable(
    [
      { title: 'TYPE', cell: ({ kind }) => kind },
      { title: 'COUNT', align: 'right', cell: ({ count }) => String(count) },
      { title: 'SIZE', align: 'right', cell: ({ bytes }) => formatSize(bytes) },
      { title: 'SHARED', align: 'right', cell: ({ sharedBytes }) => formatSize(sharedBytes) },
      { title: 'RECLAIMABLE', align: 'right', cell: formatReclaimable },
    ],
    [...rows, total],
  );
}

function formatReclaimable({ bytes, reclaimableBytes }: UsageRow): string {
  const share = bytes === 0 ? '' : ` (${Math.round((100 * reclaimableBytes) / bytes)}%)`;
  return `${formatSize(reclaimableBytes)}${share}`;
}
