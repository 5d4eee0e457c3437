/**
 * Run in a terminal by render-tty.test.ts: shows the events that it reads, one JSON value a line, from the file named in argv.
 * The build is over at its end.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import process from 'node:process';
import { openPalette } from '../../src/cli/palette.ts';
import { ProgressState } from '../../src/cli/progress-state.ts';
import { ttyRenderer } from '../../src/cli/render-tty.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { startMs } from './events.ts';

type Command =
  ProgressEvent | { readonly type: 'clock'; readonly ms: number } | { readonly type: 'print'; readonly text: string };

let nowMs = startMs;
const state = new ProgressState();
process.stderr.write('$ tsbuild .\n');
const palette = openPalette(process.stderr, process.env);
const renderer = await ttyRenderer({
  stream: process.stderr,
  state,
  palette,
  now: () => nowMs,
  signal: new AbortController().signal,
});
for await (const line of createInterface({ input: createReadStream(process.argv[2] ?? '') })) {
  const command = JSON.parse(line) as Command;
  if (command.type === 'clock') nowMs = startMs + command.ms;
  else if (command.type === 'print') process.stderr.write(command.text);
  else renderer.show(command, state.apply(revive(command)));
}
renderer.end();
process.stderr.write('bye\n');
process.exit(0);

/** Bytes do not survive JSON. */
function revive(event: ProgressEvent): ProgressEvent {
  return event.type === 'output' ? { ...event, chunk: Buffer.from(event.chunk) } : event;
}
