import type { HistoryEntry } from '../../oci/image-config.ts';
import type { LayerRow, PlatformInspection } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { formatTable } from '../format-table.ts';
import { formatAge } from '../format-time.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';
import { fitText } from '../text-width.ts';

interface HistoryFlags {
  readonly noTrunc: 'yes';
}

interface Row {
  readonly entry: HistoryEntry;
  /** Absent for an entry without a layer. */
  readonly layer?: LayerRow;
}

const COMMAND_COLUMNS = 60;

const historyFlags: readonly AnyFlag<HistoryFlags>[] = [
  { name: 'no-trunc', field: 'noTrunc', doc: 'show instructions in full', parse: () => 'yes' },
];

/** `tsbuild history`: an image's instructions with the sizes of their layers, newest first. */
export const historyCommand: CommandModule = {
  flags: [...historyFlags, ...listFlags],
  operands: { min: 1, max: 1 },
  run: async ({ operands: [reference = ''], raw, io, store, loadApi }) => {
    const { noTrunc } = parseFlags<HistoryFlags>(historyFlags, raw, io);
    const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const { platforms } = await handle.inspect(reference);
    const tables = platforms.map((image) => ({ platform: image.platform, rows: toRows(image).toReversed() }));
    if (format === 'json') {
      io.stdout.write(formatJson(tables.flatMap(({ platform, rows }) => rows.map((row) => toJson(row, platform)))));
      return 0;
    }
    const several = tables.length > 1;
    const texts = tables.map(
      ({ platform, rows }) => (several ? `${platform}\n` : '') + formatRows(rows, { noTrunc, nowMs: io.now() }),
    );
    io.stdout.write(texts.join('\n'));
    return 0;
  },
};

/** Pairs entries with layers: those that are not empty take them in order. */
function toRows({ config, layers }: PlatformInspection): readonly Row[] {
  let next = 0;
  return config.history.map((entry) => {
    const layer = entry.empty_layer === true ? undefined : layers[next++];
    return { entry, ...(layer === undefined ? {} : { layer }) };
  });
}

function toJson({ entry, layer }: Row, platform: string): object {
  return { platform, ...entry, ...(layer === undefined ? {} : { layer }) };
}

function formatRows(rows: readonly Row[], { noTrunc, nowMs }: { noTrunc: 'yes' | undefined; nowMs: number }): string {
  const command = ({ created_by: by = '' }: HistoryEntry): string => {
    const text = by.replaceAll(/\s+/g, ' ');
    return noTrunc === undefined ? fitText(text, COMMAND_COLUMNS) : text;
  };
  return formatTable<Row>(
    [
      { title: 'CREATED', cell: ({ entry }) => formatCreated(entry.created, nowMs) },
      { title: 'CREATED BY', cell: ({ entry }) => command(entry) },
      { title: 'SIZE', align: 'right', cell: ({ layer }) => formatSize(layer?.size ?? 0) },
      { title: 'COMMENT', cell: ({ entry }) => entry.comment ?? '' },
    ],
    rows,
  );
}

function formatCreated(created: string | undefined, nowMs: number): string {
  const ms = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(ms) || ms <= 0 ? 'N/A' : formatAge(nowMs - ms);
}
