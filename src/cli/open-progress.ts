import type { ProgressListener } from '../core/progress.ts';
import type { CliIo } from './cli-io.ts';
import type { ProgressMode } from './common-flags.ts';
import { openPalette } from './palette.ts';
import { ProgressState } from './progress-state.ts';
import { jsonRenderer } from './render-json.ts';
import { plainRenderer } from './render-plain.ts';
import { ttyRenderer } from './render-tty.ts';
import { silentRenderer, type Renderer } from './renderer.ts';

/** Progress of one command on standard error. Disposing it leaves the final picture; it may be disposed more than once. */
export interface OpenProgress extends Disposable {
  readonly listener: ProgressListener;
  readonly state: ProgressState;
}

/** `auto` decided: a live view needs a terminal that can move its cursor, and a person who looks at it (no CI). */
export function resolveMode(
  mode: ProgressMode,
  { stderr, env }: Pick<CliIo, 'stderr' | 'env'>,
): Exclude<ProgressMode, 'auto'> {
  if (mode !== 'auto' && mode !== 'tty') return mode;
  const terminal = stderr.isTTY === true && env['TERM'] !== 'dumb';
  const ci = (env['CI'] ?? '') !== '' && env['CI'] !== 'false';
  return terminal && (mode === 'tty' || !ci) ? 'tty' : 'plain';
}

/** Starts showing progress. */
export async function openProgress(mode: Exclude<ProgressMode, 'auto'>, io: CliIo): Promise<OpenProgress> {
  const state = new ProgressState();
  const renderer = await openRenderer(mode, io, state);
  let ended = false;
  return {
    state,
    listener: (event) => {
      const change = state.apply(event);
      if (!ended) renderer.show(event, change);
    },
    [Symbol.dispose]: () => {
      if (!ended) renderer.end();
      ended = true;
    },
  };
}

async function openRenderer(mode: Exclude<ProgressMode, 'auto'>, io: CliIo, state: ProgressState): Promise<Renderer> {
  const palette = openPalette(io.stderr, io.env);
  const write = (text: string): unknown => io.stderr.write(text);
  switch (mode) {
    case 'plain': {
      const colours = io.stderr.isTTY === true && (io.env['NO_COLOR'] ?? '') === '' ? 'keep' : 'strip';
      return plainRenderer({ write, palette, colours });
    }
    case 'tty':
      return ttyRenderer({ stream: io.stderr, state, palette, now: io.now, signal: io.signal });
    case 'rawjson':
      return jsonRenderer(write);
    case 'quiet':
    case 'none':
      return silentRenderer;
  }
}
