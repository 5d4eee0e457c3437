import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { familiarName } from '../summary.ts';
import { usageError } from '../usage-error.ts';

interface LoadFlags {
  readonly input: string;
  readonly quiet: 'yes';
}

const loadFlags: readonly AnyFlag<LoadFlags>[] = [
  {
    name: 'input',
    short: 'i',
    value: 'FILE',
    field: 'input',
    doc: 'the archive or layout directory (default: standard input)',
    parse: (texts) => texts.at(-1) ?? '-',
  },
  { name: 'quiet', short: 'q', field: 'quiet', doc: 'print names only', parse: () => 'yes' },
];

/** `tsbuild load`: the images of an archive into the store. */
export const loadCommand: CommandModule = {
  flags: loadFlags,
  operands: { min: 0, max: 1 },
  run: async ({ operands, raw, io, store, loadApi }) => {
    const { input, quiet } = parseFlags<LoadFlags>(loadFlags, raw, io);
    const path = input ?? operands[0] ?? '-';
    if (path === '-' && io.stdin.isTTY === true) {
      throw usageError('an archive is not read from a terminal', 'name it: tsbuild load FILE');
    }
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const names = await handle.load({ path: path === '-' ? toBytes(io.stdin) : path, signal: io.signal });
    for (const name of names) io.stdout.write(`${quiet === undefined ? 'Loaded image: ' : ''}${familiarName(name)}\n`);
    return 0;
  },
};

async function* toBytes(stdin: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stdin) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}
