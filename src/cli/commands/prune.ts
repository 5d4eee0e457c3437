import type { PruneFilter } from '../../store-handle.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { parseSize } from '../parse-size.ts';
import { recordFilterFlag, type RecordFilterFlags, toRecordFilter } from '../record-filter-flag.ts';

interface PruneFlags extends RecordFilterFlags {
  readonly scope: 'all';
  readonly force: 'yes';
  readonly keepBytes: number;
  readonly minFreeBytes: number;
  readonly reservedBytes: number;
}

const pruneFlags: readonly AnyFlag<PruneFlags>[] = [
  {
    name: 'all',
    short: 'a',
    field: 'scope',
    doc: 'remove images and cache mounts too, not only what nothing needs',
    parse: () => 'all',
  },
  { name: 'force', short: 'f', field: 'force', doc: 'do not ask', parse: () => 'yes' },
  recordFilterFlag,
  {
    name: 'max-used-space',
    value: 'SIZE',
    field: 'keepBytes',
    doc: 'stop as soon as the store is this small',
    parse: (texts) => parseSize('--max-used-space', texts.at(-1) ?? ''),
  },
  {
    name: 'min-free-space',
    value: 'SIZE',
    field: 'minFreeBytes',
    doc: 'stop as soon as this much of the disk is free',
    parse: (texts) => parseSize('--min-free-space', texts.at(-1) ?? ''),
  },
  {
    name: 'reserved-space',
    value: 'SIZE',
    field: 'reservedBytes',
    doc: 'do not make the store smaller than this',
    parse: (texts) => parseSize('--reserved-space', texts.at(-1) ?? ''),
  },
];

/** `tsbuild prune`: space freed. */
export const pruneCommand: CommandModule = {
  flags: pruneFlags,
  operands: { min: 0, max: 0 },
  run: async (invocation) => {
    const { raw, io, store, loadApi } = invocation;
    const { scope = 'unused', force, filter: text, ...space } = parseFlags<PruneFlags>(pruneFlags, raw, io);
    const records = toRecordFilter(text, io.now());
    const isAll = scope === 'all' && records.selectors === undefined;
    if (isAll && force === undefined && !(await confirm(invocation))) return 1;
    const filter: PruneFilter = {
      scope,
      ...records,
      ...space,
      signal: io.signal,
    };
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const { bytes, items } = await handle.prune(filter);
    io.stdout.write(`Removed ${items} ${items === 1 ? 'item' : 'items'}, ${formatSize(bytes)} freed\n`);
    return 0;
  },
};

async function confirm({ io, store }: Invocation): Promise<boolean> {
  io.stderr.write(`This removes all images and cache mounts of ${store.store} that no build uses. Continue? [y/N] `);
  let answer = '';
  for await (const chunk of io.stdin) {
    answer += String(chunk);
    if (answer.includes('\n')) break;
  }
  return /^y(es)?$/i.test(answer.trim());
}
