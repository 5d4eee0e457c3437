import type { StoreFlaw } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { cleanText } from '../control-sequences.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';

interface VerifyFlags {
  readonly repair: 'drop';
}

const verifyFlags: readonly AnyFlag<VerifyFlags>[] = [
  {
    name: 'repair',
    field: 'repair',
    doc: 'drop what is damaged, with every name and cache record that needs it, and stray layers',
    parse: () => 'drop',
  },
];

/** `tsbuild verify-store`: exit status 1 where something is damaged and stays so. */
export const verifyStoreCommand: CommandModule = {
  flags: [...verifyFlags, ...listFlags],
  operands: { min: 0, max: 0 },
  run: async ({ raw, io, store, loadApi }) => {
    const { repair = 'none' } = parseFlags<VerifyFlags>(verifyFlags, raw, io);
    const { format = 'table' } = parseFlags<ListFlags>(listFlags, raw, io);
    const api = await loadApi();
    await using handle = await api.openStore(store);
    const flaws = await handle.verify({ repair, signal: io.signal });
    io.stdout.write(format === 'json' ? formatJson(flaws) : formatFlaws(flaws));
    return flaws.some(isDamage) ? 1 : 0;
  },
};

function isDamage({ severity, repair }: StoreFlaw): boolean {
  return severity === 'damaged' && repair === 'none';
}

function formatFlaws(flaws: readonly StoreFlaw[]): string {
  const lines = flaws.map((flaw) => cleanText(`${flaw.what}: ${flaw.reason}${formatRepair(flaw)}\n`));
  return [...lines, flaws.some(isDamage) ? '' : 'the store is whole\n'].join('');
}

function formatRepair({ severity, repair }: StoreFlaw): string {
  if (repair === 'dropped') return ' (dropped)';
  return severity === 'stray' ? '; tsbuild prune removes it' : '';
}
