import type { StoreOptions } from '../build-request.ts';
import type { TsbuildApi } from '../store-handle.ts';
import type { CliIo } from './cli-io.ts';
import { commonFlags, defaultStore, type CommonFlags } from './common-flags.ts';
import { parseFlags } from './flag.ts';
import { refuseMistypedCommand } from './mistyped-command.ts';
import { parseCommandLine } from './parse-command-line.ts';
import { reportError } from './report-error.ts';
import { formatRootHelp } from './root-help.ts';
import { splitCommand } from './split-command.ts';
import { readUserConfig } from './user-config.ts';

/**
 * Runs one command line to its end, in whatever process `io` is.
 * @returns the exit status: 0 done, 1 failed, 2 not understood, 128 + n ended by signal n
 */
export async function runCli(argv: readonly string[], io: CliIo, loadApi: () => Promise<TsbuildApi>): Promise<number> {
  const split = splitCommand(argv);
  if (split === undefined || argv.length === 0) {
    (split === undefined ? io.stdout : io.stderr).write(formatRootHelp());
    return split === undefined ? 0 : 2;
  }
  let detail: 'normal' | 'debug' = argv.includes('--debug') || argv.includes('-D') ? 'debug' : 'normal';
  try {
    const parsed = parseCommandLine(split.entry, { argv: split.argv, columns: io.stdout.columns ?? 100 });
    if (parsed.kind === 'help') {
      io.stdout.write(parsed.text);
      return 0;
    }
    if (split.named === 'no') refuseMistypedCommand(parsed.operands);
    const common = parseFlags<CommonFlags>(commonFlags, parsed.raw, io);
    detail = common.debug === undefined ? 'normal' : 'debug';
    const store = await storeOptions(common, io);
    return await split.entry.module.run({ operands: parsed.operands, raw: parsed.raw, store, detail, io, loadApi });
  } catch (error) {
    return reportError(error, { io, detail });
  }
}

/** Flags and variables win over the configuration file. */
async function storeOptions(common: Partial<CommonFlags>, { env }: CliIo): Promise<StoreOptions> {
  const { debug: _debug, ...flags } = common;
  const given = { ...(await readUserConfig(env)), ...flags };
  return { ...given, store: given.store ?? defaultStore(env) };
}
