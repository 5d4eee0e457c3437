import type { BuildFlags } from '../build-flags.ts';
import type { CommandModule } from '../command.ts';
import { parseFlags } from '../flag.ts';
import { foreseenFlags, forecastFlags, type ForecastFlags } from '../forecast-flags.ts';
import { formatJson } from '../list-format.ts';
import { openPalette } from '../palette.ts';
import { renderExplanations } from '../render-explanation.ts';
import { reportError } from '../report-error.ts';
import { readRequest } from './build.ts';

/** `tsbuild explain`: why a build would run what it would run, without running it. */
export const explainCommand: CommandModule = {
  flags: [...forecastFlags, ...foreseenFlags],
  operands: { min: 0, max: 1 },
  run: async (invocation) => {
    const { raw, io, operands, store, loadApi, detail } = invocation;
    const { format = 'text' } = parseFlags<ForecastFlags>(forecastFlags, raw, io);
    const flags = parseFlags<BuildFlags>(foreseenFlags, raw, io);
    const request = await readRequest(operands[0] ?? '.', flags, invocation);
    try {
      const api = await loadApi();
      const result = await api.explain(request, store);
      const { total, explanations } = result;
      if (format === 'json') io.stdout.write(formatJson(result));
      else if (explanations.length === 0) io.stdout.write(`all ${total} steps are cached\n`);
      else io.stdout.write(renderExplanations(explanations, openPalette(io.stdout, io.env)));
      return 0;
    } catch (error) {
      return reportError(error, { io, detail, request });
    }
  },
};
