import type { CacheMountRow } from '../../store-handle.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatSize } from '../format-size.ts';
import { formatTable } from '../format-table.ts';
import { formatAge } from '../format-time.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';
import { usageError } from '../usage-error.ts';

interface CacheFlags {
  readonly output: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly mode: number;
}

const cacheFlags: readonly AnyFlag<CacheFlags>[] = [
  {
    name: 'output',
    short: 'o',
    value: 'FILE',
    field: 'output',
    doc: 'where export writes its tar archive (default: standard output)',
    parse: (texts) => texts.at(-1) ?? '',
  },
  {
    name: 'owner',
    value: 'UID:GID',
    field: 'owner',
    doc: "import: the directory's owner, as the mount's uid and gid say (default: 0:0)",
    parse: (texts) => parseOwner(texts.at(-1) ?? ''),
  },
  {
    name: 'mode',
    value: 'OCTAL',
    field: 'mode',
    doc: "import: the directory's mode, as the mount's mode says (default: 0755)",
    parse: (texts) => parseMode(texts.at(-1) ?? ''),
  },
];

const USAGE = 'usage: tsbuild cache mounts ls | rm ID… | export ID [-o FILE] | import ID [FILE]';

/** `tsbuild cache mounts …`: the directories that RUN steps keep. */
export const cacheCommand: CommandModule = {
  flags: [...cacheFlags, ...listFlags],
  operands: { min: 2, max: Infinity },
  run: async (invocation) => {
    const [noun, verb, ...ids] = invocation.operands;
    if (noun !== 'mounts') throw usageError(`tsbuild cache: unknown ${JSON.stringify(noun)}`, USAGE);
    switch (verb) {
      case 'ls':
        return listMounts(invocation);
      case 'rm':
        return removeMounts(ids, invocation);
      case 'export':
        return exportMount(ids, invocation);
      case 'import':
        return importMount(ids, invocation);
      case undefined:
      default:
        throw usageError(`tsbuild cache mounts: unknown ${JSON.stringify(verb)}`, USAGE);
    }
  },
};

async function listMounts({ raw, io, store, loadApi }: Invocation): Promise<number> {
  const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
  await using handle = await (await loadApi()).openStore(store);
  const mounts = await handle.cacheMounts();
  io.stdout.write(format === 'json' ? formatJson(mounts) : formatMounts(mounts, io.now()));
  return 0;
}

async function removeMounts(ids: readonly string[], { io, store, loadApi }: Invocation): Promise<number> {
  if (ids.length === 0) throw usageError('no cache mount is named', USAGE);
  await using handle = await (await loadApi()).openStore(store);
  for (const id of ids) io.stdout.write(`Removed ${id}, ${formatSize(await handle.removeCacheMount(id))} freed\n`);
  return 0;
}

async function exportMount(operands: readonly string[], { raw, io, store, loadApi }: Invocation): Promise<number> {
  const [id, ...others] = operands;
  if (id === undefined || others.length > 0) throw usageError('export takes one cache mount', USAGE);
  const { output = '-' } = parseFlags<CacheFlags>(cacheFlags, raw, io);
  if (output === '-' && io.stdout.isTTY === true)
    throw usageError('a tar is not written to a terminal', 'name a file: --output FILE');
  await using handle = await (await loadApi()).openStore(store);
  await handle.exportCacheMount(id, { dest: output, stdout: io.stdout, signal: io.signal });
  return 0;
}

async function importMount(operands: readonly string[], { raw, io, store, loadApi }: Invocation): Promise<number> {
  const [id, file = '-', ...others] = operands;
  if (id === undefined || others.length > 0) throw usageError('import takes one cache mount and one file', USAGE);
  const { owner, mode } = parseFlags<CacheFlags>(cacheFlags, raw, io);
  await using handle = await (await loadApi()).openStore(store);
  const path = file === '-' ? toBytes(io.stdin) : file;
  const made = await handle.importCacheMount(id, {
    path,
    ...owner,
    ...(mode === undefined ? {} : { mode }),
    signal: io.signal,
  });
  io.stdout.write(`Imported ${id}, ${formatSize(made.bytes)}\n`);
  return 0;
}

function formatMounts(mounts: readonly CacheMountRow[], nowMs: number): string {
  return formatTable(
    [
      { title: 'ID', cell: ({ id }) => id },
      { title: 'SIZE', align: 'right', cell: ({ bytes }) => formatSize(bytes) },
      { title: 'LAST USED', cell: ({ lastUsedMs }) => formatAge(nowMs - lastUsedMs) },
    ],
    mounts,
  );
}

async function* toBytes(stdin: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stdin) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

function parseOwner(text: string): CacheFlags['owner'] {
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (uid === undefined || gid === undefined)
    throw usageError(`--owner: invalid value ${JSON.stringify(text)}`, 'write numbers: UID:GID');
  return { uid: Number(uid), gid: Number(gid) };
}

function parseMode(text: string): number {
  if (!/^[0-7]{3,4}$/.test(text))
    throw usageError(`--mode: invalid value ${JSON.stringify(text)}`, 'write it in octal');
  return Number.parseInt(text, 8);
}
