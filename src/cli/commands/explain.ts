import type { CommandModule } from '../command.ts';
import { forecastCommand } from '../forecast-command.ts';
import { openPalette } from '../palette.ts';
import { renderExplanations } from '../render-explanation.ts';

/** `tsbuild explain`: why a build would run what it would run, without running it. */
export const explainCommand: CommandModule = forecastCommand({
  foresee: (api, request, store) => api.explain(request, store),
  render: ({ total, explanations }, io) =>
    explanations.length === 0
      ? `all ${total} steps are cached\n`
      : renderExplanations(explanations, openPalette(io.stdout, io.env)),
});
