import { digestHex } from '../../oci/digest.ts';
import { familiarReference, parseReference } from '../../oci/reference.ts';
import type { ImageRow } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { formatTable, type Column } from '../format-table.ts';
import { formatAge } from '../format-time.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';

interface ImagesFlags {
  readonly quiet: 'yes';
  readonly digests: 'yes';
  readonly noTrunc: 'yes';
}

const imagesFlags: readonly AnyFlag<ImagesFlags>[] = [
  { name: 'quiet', short: 'q', field: 'quiet', doc: 'print image IDs only', parse: () => 'yes' },
  { name: 'digests', field: 'digests', doc: 'show the digests of manifests too', parse: () => 'yes' },
  { name: 'no-trunc', field: 'noTrunc', doc: 'show digests in full', parse: () => 'yes' },
];

/** `tsbuild images`: the images in the store, newest first. */
export const imagesCommand: CommandModule = {
  flags: [...imagesFlags, ...listFlags],
  operands: { min: 0, max: 1 },
  run: async ({ operands, raw, io, store, loadApi }) => {
    const { quiet, digests, noTrunc } = parseFlags<ImagesFlags>(imagesFlags, raw, io);
    const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const rows = (await handle.images()).filter((row) => matches(row, operands[0]));
    if (format === 'json') io.stdout.write(formatJson(rows));
    else if (quiet !== undefined) io.stdout.write(formatIds(rows, noTrunc));
    else io.stdout.write(formatTable(columns({ nowMs: io.now(), digests, noTrunc }), rows));
    return 0;
  },
};

/** `app` stands for all tags of it. */
function matches({ reference }: ImageRow, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  const [row, filter] = [parseReference(reference ?? ''), parseReference(wanted)];
  if (row === undefined || filter === undefined) return false;
  return (
    row.registry === filter.registry && row.repository === filter.repository && (filter.tag ?? row.tag) === row.tag
  );
}

function formatIds(rows: readonly ImageRow[], noTrunc: 'yes' | undefined): string {
  return [...new Set(rows.map((row) => imageIdOf(row, noTrunc)))].map((id) => `${id}\n`).join('');
}

interface ColumnOptions {
  readonly nowMs: number;
  readonly digests: 'yes' | undefined;
  readonly noTrunc: 'yes' | undefined;
}

function columns({ nowMs, digests, noTrunc }: ColumnOptions): readonly Column<ImageRow>[] {
  return [
    { title: 'REPOSITORY', cell: (row) => nameOf(row).repository },
    { title: 'TAG', cell: (row) => nameOf(row).tag },
    ...(digests === undefined ? [] : [{ title: 'DIGEST', cell: (row: ImageRow) => row.image.digest }]),
    { title: 'IMAGE ID', cell: (row) => imageIdOf(row, noTrunc) },
    { title: 'PLATFORM', cell: ({ platforms }) => platforms.join(',') },
    { title: 'CREATED', cell: ({ createdMs }) => formatCreated(createdMs, nowMs) },
    { title: 'SIZE', align: 'right', cell: ({ size }) => formatSize(size) },
  ];
}

function nameOf({ reference }: ImageRow): { readonly repository: string; readonly tag: string } {
  const parsed = reference === undefined ? undefined : parseReference(reference);
  if (parsed === undefined) return { repository: reference ?? '<none>', tag: '<none>' };
  const { registry, repository } = parsed;
  return { repository: familiarReference({ registry, repository }), tag: parsed.tag ?? '<none>' };
}

/** A reproducible image may claim to be from 1970; an age would say nothing then. */
function formatCreated(createdMs: number | undefined, nowMs: number): string {
  return createdMs === undefined || createdMs <= 0 ? 'N/A' : formatAge(nowMs - createdMs);
}

function imageIdOf({ configDigest, image }: ImageRow, noTrunc: 'yes' | undefined): string {
  const digest = configDigest ?? image.digest;
  return noTrunc === undefined ? digestHex(digest).slice(0, 12) : digest;
}
