import { layout, type LayoutOptions } from './layout.ts';
import type { Palette } from './palette.ts';
import type { ProgressState } from './progress-state.ts';
import type { Renderer } from './renderer.ts';
import { textWidth } from './text-width.ts';
import type { TerminalStream } from './cli-io.ts';

/** What the live view needs. */
export interface TtyOptions {
  readonly stream: TerminalStream;
  readonly state: ProgressState;
  readonly palette: Palette;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** ora writes two blanks behind the frame, the terminal `^C` behind these; one more keeps the cursor off the margin, so that no line wraps. */
const MARGIN = 5;
const INTERVAL_MS = 100;

/** Progress as a frame that is redrawn ten times a second and stays, complete, when the build ends. */
export async function ttyRenderer({ stream, state, palette, now, signal }: TtyOptions): Promise<Renderer> {
  const { default: ora } = await import('ora');
  const startMs = now();
  let shown: readonly string[] = [];

  const frame = (o: Pick<LayoutOptions, 'rows' | 'phase'>): readonly string[] =>
    layout(state.steps, { columns: (stream.columns ?? 80) - MARGIN, startMs, nowMs: now(), palette, ...o });
  const spinner = ora({
    stream,
    prefixText: () => {
      shown = frame({ rows: Math.max(2, (stream.rows ?? 24) - 1), phase: 'building' });
      return shown.join('\n');
    },
    spinner: { frames: [''], interval: INTERVAL_MS },
    color: false,
    isEnabled: true,
    // Raw mode would take Ctrl-C away from the terminal.
    discardStdin: false,
  });
  const redraw = (): void => {
    const wrapped = wrappedLines(shown, stream.columns ?? 80);
    spinner.clear();
    if (wrapped > 0) stream.write(`\u001B[${wrapped}A\u001B[J`);
    spinner.render();
  };

  stream.on('resize', redraw);
  spinner.start();
  return {
    show: () => {},
    end: () => {
      stream.off('resize', redraw);
      spinner.stop();
      const failed = [...state.steps].some(({ phase }) => phase === 'failed');
      const phase = signal.aborted ? 'canceled' : failed ? 'failed' : 'finished';
      stream.write(`${frame({ rows: Infinity, phase }).join('\n')}\n`);
    },
  };
}

/** The rows that lines take beyond their own once a narrower terminal has wrapped them. */
function wrappedLines(lines: readonly string[], columns: number): number {
  // oxlint-disable-next-line no-control-regex -- colours take no columns
  const widths = lines.map((line) => textWidth(line.replaceAll(/\u001B\[[0-9;]*m/g, '')));
  return widths.reduce((sum, width) => sum + Math.max(0, Math.ceil(width / columns) - 1), 0);
}
