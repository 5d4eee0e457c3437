import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { parseChoice } from '../parse-key-value.ts';
import { usageError } from '../usage-error.ts';

interface SaveFlags {
  readonly output: string;
  readonly format: 'docker' | 'oci';
}

const saveFlags: readonly AnyFlag<SaveFlags>[] = [
  {
    name: 'output',
    short: 'o',
    value: 'FILE',
    field: 'output',
    doc: 'the archive to write (default: standard output)',
    parse: (texts) => texts.at(-1) ?? '-',
  },
  {
    name: 'format',
    value: 'docker|oci',
    field: 'format',
    doc: 'the form of the archive (default: docker)',
    parse: (texts) => parseChoice('--format', (texts.at(-1) ?? '').replace(/-archive$/, ''), ['docker', 'oci']),
  },
];

/** `tsbuild save`: images of the store into an archive. */
export const saveCommand: CommandModule = {
  flags: saveFlags,
  operands: { min: 1, max: Infinity },
  run: async ({ operands, raw, io, store, loadApi }) => {
    const { output: dest = '-', format = 'docker' } = parseFlags<SaveFlags>(saveFlags, raw, io);
    if (dest === '-' && io.stdout.isTTY === true) {
      throw usageError('an archive is not written to a terminal', 'name a file with --output, or redirect the output');
    }
    const api = await loadApi();
    await using handle = await api.openStore(store);
    await handle.save(operands, { dest, format, stdout: io.stdout, signal: io.signal });
    return 0;
  },
};
