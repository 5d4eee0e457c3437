import type { PlannedStep, PlanResult } from '../../store-handle.ts';
import type { CommandModule } from '../command.ts';
import { forecastCommand } from '../forecast-command.ts';
import { formatSize } from '../format-size.ts';
import { formatTable } from '../format-table.ts';
import { formatSeconds } from '../format-time.ts';

const STATES: Readonly<Record<PlannedStep['state'], string>> = {
  cached: 'cached',
  'would-run': 'run',
  'may-run': 'maybe',
};

/** `tsbuild plan`: what is cached, what would run, and how long that would take, without running it. */
export const planCommand: CommandModule = forecastCommand({
  foresee: (api, request, store) => api.plan(request, store),
  render: formatPlan,
});

function formatPlan(result: PlanResult): string {
  const table = formatTable(
    [
      { title: 'STATE', cell: ({ state }) => STATES[state] },
      { title: 'EXPECTED', align: 'right', cell: formatExpected },
      { title: 'STEP', cell: ({ name }) => name.replace(/\n[^]*/, ' …').replaceAll(/\p{Cc}/gu, '?') },
    ],
    result.steps,
  );
  return `${table}\n${formatTotals(result)}\n`;
}

function formatExpected({ state, expectedMs }: PlannedStep): string {
  if (state === 'cached') return '';
  return expectedMs === undefined ? '?' : formatSeconds(expectedMs);
}

function formatTotals({ steps, totalMs, criticalPathMs, unknown, pullBytes }: PlanResult): string {
  const pending = steps.filter(({ state }) => state !== 'cached').length;
  if (pending === 0) return `all ${steps.length} steps are cached`;
  const parts = [
    `${pending} of ${steps.length} steps would run`,
    `${formatSeconds(totalMs)} of work, ${formatSeconds(criticalPathMs)} at least`,
    ...(unknown === 0 ? [] : [`${unknown} never ran before`]),
    ...(pullBytes === 0 ? [] : [`${formatSize(pullBytes)} to fetch`]),
  ];
  return parts.join('; ');
}
