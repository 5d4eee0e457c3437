import type { StoreFlaw } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { formatJson, listFlags, type ListFlags } from '../list-format.ts';

interface VerifyFlags {
  readonly repair: 'drop';
}

const verifyFlags: readonly AnyFlag<VerifyFlags>[] = [
  {
    name: 'repair',
    field: 'repair',
    doc: 'drop what is damaged, and every name and cache record that needs it',
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
    return flaws.some((flaw) => flaw.repair === 'none') ? 1 : 0;
  },
};

function formatFlaws(flaws: readonly StoreFlaw[]): string {
  if (flaws.length === 0) return 'the store is whole\n';
  return flaws
    .map(({ what, reason, repair }) => `${what}: ${reason}${repair === 'dropped' ? ' (dropped)' : ''}\n`)
    .join('');
}
