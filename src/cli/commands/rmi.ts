import { isBuildError } from '../../core/error.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags, type AnyFlag } from '../flag.ts';
import { familiarName } from '../summary.ts';

interface RmiFlags {
  readonly force: 'yes';
}

const rmiFlags: readonly AnyFlag<RmiFlags>[] = [
  { name: 'force', short: 'f', field: 'force', doc: 'pass over images that are not there', parse: () => 'yes' },
];

/** `tsbuild rmi`: names taken away, and images that have none left. */
export const rmiCommand: CommandModule = {
  flags: rmiFlags,
  operands: { min: 1, max: Infinity },
  run: async ({ operands, raw, io, store, loadApi }) => {
    const { force } = parseFlags<RmiFlags>(rmiFlags, raw, io);
    const api = await loadApi();
    await using handle = await api.openStore(store);
    for (const reference of operands) {
      try {
        const { untagged, deleted } = await handle.remove(reference);
        for (const name of untagged) io.stdout.write(`Untagged: ${familiarName(name)}\n`);
        for (const digest of deleted) io.stdout.write(`Deleted: ${digest}\n`);
      } catch (error) {
        if (force === undefined || !isBuildError(error, 'IMAGE_NOT_FOUND')) throw error;
      }
    }
    return 0;
  },
};
