import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { checkProgram } from '../support/run-program.ts';
import type { Builder } from './builders.ts';
import { measure } from './measure.ts';

/** A number that says how much the store bears, or how fast it is. */
export interface Figure {
  readonly name: string;
  readonly value: string;
}

/** What is built, and how often. */
export interface FigureRequest {
  readonly builder: Builder;
  /** The context of a build of some seconds, that of 20,000 files, and that of a few. */
  readonly contexts: { readonly steps: string; readonly files: string; readonly small: string };
  readonly work: string;
  readonly kills: number;
  readonly processes: number;
  readonly runs: number;
}

const FILES = 20_000;

/** Kills survived, processes at once, files scanned per second. */
export async function measureFigures(request: FigureRequest): Promise<readonly Figure[]> {
  const survived = await surviveKills(request);
  const { oneMs, manyMs } = await buildAtOnce(request);
  const scanMs = (await rebuildMs(request, 'files')) - (await rebuildMs(request, 'small'));
  return [
    { name: 'builds killed with -9, store whole and next build good', value: `${survived} of ${request.kills}` },
    {
      name: `${request.processes} builds of one project at once, one alone`,
      value: `${(manyMs / 1000).toFixed(2)} s, ${(oneMs / 1000).toFixed(2)} s`,
    },
    { name: 'unchanged files scanned per second', value: String(Math.round(FILES / (scanMs / 1000))) },
  ];
}

/** Kills a build at moments spread over its length; afterwards the store must be whole, and the same build must succeed. */
async function surviveKills({ builder, contexts, work, kills }: FigureRequest): Promise<number> {
  await builder.reset();
  const command = buildOf(builder, contexts.steps, 'ignore');
  const { elapsedMs } = await measure(command, work);
  let survived = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { cwd: work, stdio: 'ignore' });
    const ended = once(child, 'exit');
    await Promise.race([ended, delay((elapsedMs * (kill + 0.5)) / kills)]);
    child.kill('SIGKILL');
    await ended;
    const [verifier = '', ...verification] = builder.verify;
    await checkProgram(verifier, verification, { cwd: work });
    await measure(buildOf(builder, contexts.steps, 'use'), work);
    survived += 1;
  }
  return survived;
}

/** From an empty store: what one process takes, and what many take that all build the same. */
async function buildAtOnce({
  builder,
  contexts,
  work,
  processes,
}: FigureRequest): Promise<{ readonly oneMs: number; readonly manyMs: number }> {
  const command = buildOf(builder, contexts.steps, 'use');
  await builder.reset();
  const one = await measure(command, work);
  await builder.reset();
  const many = await Promise.all(Array.from({ length: processes }, () => measure(command, work)));
  return { oneMs: one.elapsedMs, manyMs: Math.max(...many.map(({ elapsedMs }) => elapsedMs)) };
}

/** The median of rebuilds with nothing changed. */
async function rebuildMs(
  { builder, contexts, work, runs }: FigureRequest,
  context: 'files' | 'small',
): Promise<number> {
  const command = buildOf(builder, contexts[context], 'use');
  await measure(command, work);
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) times.push((await measure(command, work)).elapsedMs);
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

function buildOf(builder: Builder, context: string, cache: 'use' | 'ignore'): readonly string[] {
  return builder.commands({ context, cache, output: 'store' })[0] ?? [];
}
