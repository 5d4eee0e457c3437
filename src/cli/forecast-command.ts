import type { BuildRequest, StoreOptions } from '../build-request.ts';
import type { TsbuildApi } from '../store-handle.ts';
import type { BuildFlags } from './build-flags.ts';
import type { CliIo } from './cli-io.ts';
import type { CommandModule } from './command.ts';
import { readRequest } from './commands/build.ts';
import { parseFlags } from './flag.ts';
import { foreseenFlags, forecastFlags, type ForecastFlags } from './forecast-flags.ts';
import { formatJson } from './list-format.ts';
import { reportError } from './report-error.ts';

/** What a command foresees of a build, and how it is put to people. */
export interface Forecast<R> {
  readonly foresee: (api: TsbuildApi, request: BuildRequest, store: StoreOptions) => Promise<R>;
  readonly render: (result: R, io: CliIo) => string;
}

/** A command that foresees a build without running it. */
export function forecastCommand<R>({ foresee, render }: Forecast<R>): CommandModule {
  return {
    flags: [...forecastFlags, ...foreseenFlags],
    operands: { min: 0, max: 1 },
    run: async (invocation) => {
      const { raw, io, operands, store, loadApi, detail } = invocation;
      const { format = 'text' } = parseFlags<ForecastFlags>(forecastFlags, raw, io);
      const flags = parseFlags<BuildFlags>(foreseenFlags, raw, io);
      const request = await readRequest(operands[0] ?? '.', flags, invocation);
      try {
        const result = await foresee(await loadApi(), request, store);
        io.stdout.write(format === 'json' ? formatJson(result) : render(result, io));
        return 0;
      } catch (error) {
        return reportError(error, { io, detail, request });
      }
    },
  };
}
