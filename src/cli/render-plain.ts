import { messageOf } from '../core/error.ts';
import { cleanLine, cleanText } from './control-sequences.ts';
import { formatSeconds } from './format-time.ts';
import { formatStatus, isComplete } from './format-status.ts';
import type { Palette } from './palette.ts';
import type { OutputLine, StatusState, StepState } from './progress-state.ts';
import type { Renderer } from './renderer.ts';

/** A part of a step is reported no more often than this, and once more when it is complete. */
const STATUS_INTERVAL_MS = 2000;

/** Where plain lines go, and whether programs may colour theirs. */
export interface PlainOptions {
  readonly write: (text: string) => unknown;
  readonly palette: Palette;
  readonly colours: 'keep' | 'strip';
}

/**
 * Progress as lines, in BuildKit's form: `#3 [build 2/4] RUN make`, `#3 0.123 output`, `#3 DONE 1.2s`. Each line says whose it is, so
 * steps that run at once may alternate; a line is written whole and never shortened.
 */
export function plainRenderer({ write, palette, colours }: PlainOptions): Renderer {
  const announced = new Set<string>();
  const reported = new Map<string, StatusState>();

  const announce = (step: StepState): string => {
    if (announced.has(step.info.id)) return '';
    announced.add(step.info.id);
    return `#${step.number ?? 0} ${cleanLine(step.info.name.replaceAll(/\s*\n\s*/g, ' '), 'strip')}\n`;
  };
  const statusLines = (step: StepState, when: 'due' | 'all'): string => {
    let text = '';
    for (const status of step.statuses.values()) {
      const key = `${step.info.id} ${status.id}`;
      if (!isDue(status, reported.get(key), when)) continue;
      reported.set(key, status);
      text += `#${step.number ?? 0} ${formatStatus(status)}\n`;
    }
    return text;
  };
  const outputLines = (step: StepState, lines: readonly OutputLine[]): string =>
    lines
      .map(({ text, sinceMs }) => `#${step.number ?? 0} ${formatStamp(sinceMs)} ${cleanLine(text, colours)}\n`)
      .join('');

  return {
    show: (event, { step, lines }) => {
      if (step === undefined) return;
      const ended = step.endedMs !== undefined;
      const body =
        outputLines(step, lines) + (event.type === 'status' || ended ? statusLines(step, ended ? 'all' : 'due') : '');
      const text = announce(step) + body + (ended ? `${endLine(step, palette)}\n\n` : '');
      if (text !== '') write(text);
    },
    end: () => {},
  };
}

function isDue(status: StatusState, before: StatusState | undefined, when: 'due' | 'all'): boolean {
  if (before === undefined)
    return when === 'all' || isComplete(status) || status.total === undefined || status.current > 0;
  if (status.current === before.current && status.total === before.total) return false;
  return when === 'all' || isComplete(status) || status.timeMs - before.timeMs >= STATUS_INTERVAL_MS;
}

function endLine(step: StepState, palette: Palette): string {
  const number = `#${step.number ?? 0}`;
  const took = formatSeconds((step.endedMs ?? 0) - (step.startedMs ?? 0));
  switch (step.phase) {
    case 'cached':
      return `${number} ${palette('run', 'CACHED')}`;
    case 'failed':
      return `${number} ${palette('error', `ERROR: ${cleanText(messageOf(step.error))}`)}`;
    case 'canceled':
      return `${number} ${palette('cancel', 'CANCELED')}`;
    case 'waiting':
    case 'running':
    case 'done':
      return `${number} ${palette('run', `DONE ${took}`)}`;
  }
}

/** Seconds since the step's start with three digits, as BuildKit stamps output. */
function formatStamp(ms: number): string {
  return (Math.max(0, ms) / 1000).toFixed(3);
}
