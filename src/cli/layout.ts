import { cleanLine } from './control-sequences.ts';
import { formatStatus, isComplete } from './format-status.ts';
import { formatSeconds } from './format-time.ts';
import type { Palette } from './palette.ts';
import type { StatusState, StepState } from './progress-state.ts';
import { fitText, padText, textWidth } from './text-width.ts';

/** The screen and the moment that a frame is made for. */
export interface LayoutOptions {
  readonly columns: number;
  /** As many lines as there may be; `Infinity` for the frame that stays. */
  readonly rows: number;
  readonly startMs: number;
  readonly nowMs: number;
  readonly palette: Palette;
  readonly phase: 'building' | 'finished' | 'failed' | 'canceled';
}

/** A running step shows at most this much of what goes on in it. */
const MAX_DETAILS = 6;
/** Steps that took less last time are not worth an estimate. */
const EXPECTED_FROM_MS = 2000;

const OUTCOMES: Readonly<Record<LayoutOptions['phase'], string>> = {
  building: '',
  finished: ' FINISHED',
  failed: ' FAILED',
  canceled: ' CANCELED',
};

/**
 * One frame of the live view: a header, then the steps in the order in which they started, running ones with their last lines of output.
 * Never more than `rows` lines of at most `columns` columns: first running steps lose lines of output, then finished ones are summed up.
 */
export function layout(steps: Iterable<StepState>, o: LayoutOptions): readonly string[] {
  const all = [...steps];
  const started = all
    .filter(({ number }) => number !== undefined)
    .toSorted((a, b) => (a.number ?? 0) - (b.number ?? 0));
  const ended = all.filter(({ endedMs }) => endedMs !== undefined).length;
  const time = formatSeconds(o.nowMs - o.startMs);
  const header = fitText(`[+] Building ${time} (${ended}/${all.length})${OUTCOMES[o.phase]}`, o.columns);
  return [header, ...stepRows(started, { ...o, rows: o.rows - 1 })];
}

function stepRows(started: readonly StepState[], o: LayoutOptions): readonly string[] {
  const running = started.filter((step) => step.phase === 'running');
  const failed = started.filter((step) => step.phase === 'failed');
  const settled = started.filter((step) => step.phase !== 'running' && step.phase !== 'failed');
  const kept = running.length + failed.length;
  const room = o.rows - kept - (settled.length > 0 ? 1 : 0);
  if (room < 0) return squeezed(started, o);
  const details = o.phase === 'building' ? fairDetails(running, room) : 0;
  const used = running.reduce((sum, step) => sum + detailCount(step, details), 0);
  const free = o.rows - kept - used;
  const shown = new Set(free >= settled.length ? settled : settled.slice(settled.length - Math.max(0, free - 1)));
  const hidden = settled.filter((step) => !shown.has(step));
  const rows = started
    .filter((step) => !hidden.includes(step))
    .flatMap((step) => [stepRow(step, o), ...detailRows(step, details, o)]);
  return hidden.length === 0 ? rows : [summaryRow(hidden, o), ...rows];
}

/** The most lines that each running step may have so that all of them together need no more than `room`. */
function fairDetails(running: readonly StepState[], room: number): number {
  for (let limit = MAX_DETAILS; limit > 0; limit--) {
    if (running.reduce((sum, step) => sum + detailCount(step, limit), 0) <= room) return limit;
  }
  return 0;
}

/** For a screen with fewer lines than there are running steps. */
function squeezed(started: readonly StepState[], o: LayoutOptions): readonly string[] {
  const first = started.filter((step) => step.phase === 'failed' || step.phase === 'running');
  const rows = first.slice(0, Math.max(0, o.rows - 1)).map((step) => stepRow(step, o));
  return o.rows < 1 ? [] : [...rows, fitText(` => ${started.length - rows.length} more steps`, o.columns)];
}

function summaryRow(hidden: readonly StepState[], o: LayoutOptions): string {
  const cached = hidden.filter(({ phase }) => phase === 'cached').length;
  const text = ` => ${hidden.length} steps finished${cached === 0 ? '' : `, ${cached} of them cached`}`;
  return o.palette('run', fitText(text, o.columns));
}

function stepRow(step: StepState, o: LayoutOptions): string {
  const timer = formatTimer(step, o);
  const name = cleanLine(step.info.name.replaceAll(/\s+/g, ' '), 'strip');
  const columns = Math.max(8, o.columns - textWidth(timer) - 1);
  return `${outcome(step, columns, { name, palette: o.palette })} ${timer}`;
}

function outcome(step: StepState, columns: number, { name, palette }: { name: string; palette: Palette }): string {
  switch (step.phase) {
    case 'cached':
      return palette('run', padText(` => CACHED ${name}`, columns));
    case 'failed':
      return palette('error', padText(` => ERROR ${name}`, columns));
    case 'canceled':
      return palette('cancel', padText(` => CANCELED ${name}`, columns));
    case 'done':
      return palette('run', padText(` => ${name}`, columns));
    case 'waiting':
    case 'running':
      return padText(` => ${name}`, columns);
  }
}

function formatTimer(step: StepState, o: LayoutOptions): string {
  const elapsed = formatSeconds((step.endedMs ?? o.nowMs) - (step.startedMs ?? o.nowMs));
  const expected = step.info.expectedMs;
  const estimate = step.endedMs === undefined && expected !== undefined && expected >= EXPECTED_FROM_MS;
  return estimate ? `${elapsed} of ~${formatSeconds(expected)}` : elapsed;
}

function detailCount(step: StepState, limit: number): number {
  const lines = step.lines.length + (step.pending === '' ? 0 : 1);
  return step.phase === 'running' ? Math.min(limit, lines + step.statuses.size) : 0;
}

function detailRows(step: StepState, limit: number, o: LayoutOptions): readonly string[] {
  if (limit === 0 || step.phase !== 'running') return [];
  const texts = [...step.lines.map(({ text }) => text), ...(step.pending === '' ? [] : [step.pending])];
  const statuses = chooseStatuses([...step.statuses.values()], limit - Math.min(texts.length, Math.ceil(limit / 2)));
  const lines = texts.slice(Math.max(0, texts.length - (limit - statuses.length)));
  return [
    ...statuses.map((status) => fitText(` => => ${formatStatus(shorten(status))}`, o.columns)),
    ...lines.map((text) => o.palette('dim', fitText(` => => # ${toScreen(text)}`, o.columns))),
  ];
}

/** What is still under way first to stay; in the order of appearance. */
function chooseStatuses(statuses: readonly StatusState[], limit: number): readonly StatusState[] {
  const active = statuses.filter((status) => !isComplete(status));
  const complete = statuses.filter(isComplete);
  const spare = Math.max(0, limit - active.length);
  const chosen = new Set([...active.slice(0, limit), ...(spare === 0 ? [] : complete.slice(-spare))]);
  return statuses.filter((status) => chosen.has(status));
}

function shorten(status: StatusState): StatusState {
  return { ...status, id: status.id.replace(/(sha256:[0-9a-f]{12})[0-9a-f]{52}/, '$1') };
}

function toScreen(line: string): string {
  return cleanLine(line, 'strip').replaceAll('\t', '    ');
}
