import type { UsageRow } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { formatTable } from '../format-table.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';

/** `tsbuild du`: what takes space, and how much of it `prune --all` would free. */
export const duCommand: CommandModule = {
  flags: listFlags,
  operands: { min: 0, max: 0 },
  run: async ({ raw, io, store, loadApi }) => {
    const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const rows = await handle.diskUsage();
    io.stdout.write(format === 'json' ? formatJson(rows) : formatRows(rows));
    return 0;
  },
};

function formatRows(rows: readonly UsageRow[]): string {
  const sum = (field: 'count' | 'bytes' | 'reclaimableBytes'): number =>
    rows.reduce((total, row) => total + row[field], 0);
  const total: UsageRow = {
    kind: 'total',
    count: sum('count'),
    bytes: sum('bytes'),
    reclaimableBytes: sum('reclaimableBytes'),
  };
  return formatTable(
    [
      { title: 'TYPE', cell: ({ kind }) => kind },
      { title: 'COUNT', align: 'right', cell: ({ count }) => String(count) },
      { title: 'SIZE', align: 'right', cell: ({ bytes }) => formatSize(bytes) },
      { title: 'RECLAIMABLE', align: 'right', cell: formatReclaimable },
    ],
    [...rows, total],
  );
}

function formatReclaimable({ bytes, reclaimableBytes }: UsageRow): string {
  const share = bytes === 0 ? '' : ` (${Math.round((100 * reclaimableBytes) / bytes)}%)`;
  return `${formatSize(reclaimableBytes)}${share}`;
}
