/**
 * `npm run bench -- [W1 W2 … figures] [--runs N] [--kills N] [--processes N] [--peer buildah] [--big-mb MB]`: measures the workloads of speed.md
 * on this machine and prints a table, and below it what the store bears. Builders take turns (A B A B), so that noise of the machine meets both. Asserts nothing about time.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeBusyboxLayout } from '../support/busybox-image.ts';
import { type Builder, buildahBuilder, tsbuildBuilder } from './builders.ts';
import { measureFigures } from './figures.ts';
import { measure, type Measurement } from './measure.ts';
import { generateProject, type ProjectName, type Scale, type Workload, workloads } from './workloads.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    peer: { type: 'string', multiple: true, default: [] },
    kills: { type: 'string', default: '30' },
    processes: { type: 'string', default: '8' },
    'big-mb': { type: 'string', default: '100' },
  },
});
const runs = Number(values.runs);
const made = new Set<ProjectName>();
const scale: Scale = { bigFileBytes: Number(values['big-mb']) * 1e6 };
const chosen = workloads.filter(({ id }) => isAsked(id));

const work = await mkdtemp(join(tmpdir(), 'tsbuild-bench-'));
try {
  const layout = join(work, 'busybox');
  await mkdir(layout);
  await writeBusyboxLayout(layout, 'docker.io/library/busybox:latest');
  const builders = [
    tsbuildBuilder(work, layout),
    ...(values.peer.includes('buildah') ? [buildahBuilder(work, layout)] : []),
  ];
  print(
    `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, ${runs} runs, W4 with 2 × ${values['big-mb']} MB\n`,
  );
  print(line(['workload', 'builder', 'median', 'min', 'max', 'target', 'ratio', 'peak MB']));
  for (const workload of chosen) await runWorkload(workload, builders);
  const [builder] = builders;
  if (builder !== undefined && isAsked('figures')) await printFigures(builder);
} finally {
  await rm(work, { recursive: true, force: true });
}

async function printFigures(builder: Builder): Promise<void> {
  const contexts = { steps: await project('steps'), files: await project('files'), small: await project('small') };
  const [kills, processes] = [Number(values.kills), Number(values.processes)];
  print('\n');
  for (const { name, value } of await measureFigures({ builder, contexts, work, kills, processes, runs }))
    print(`${name}: ${value}\n`);
}

function isAsked(id: string): boolean {
  return positionals.length === 0 || positionals.some((name) => isChosen(id, name));
}

/** `W3` stands for all its rows. */
function isChosen(id: string, name: string): boolean {
  const wanted = name.toUpperCase();
  return id.toUpperCase() === wanted || id.toUpperCase().startsWith(`${wanted}-`);
}

async function runWorkload(workload: Workload, builders: readonly Builder[]): Promise<void> {
  const context = workload.project === 'none' ? work : await project(workload.project);
  const results = new Map<Builder, Measurement[]>(builders.map((builder) => [builder, []]));
  for (const builder of builders) await warmUp(workload, builder, context);
  for (let run = 0; run < runs; run += 1) {
    for (const builder of builders) {
      if (workload.store === 'cold') await builder.reset();
      workload.touch?.(context, run);
      await rm(archiveOf(builder), { force: true });
      results.get(builder)?.push(await measureBuild(workload, builder, context));
    }
  }
  const [first] = builders;
  for (const [builder, measured] of results) {
    const reference = builder === first ? undefined : results.get(first ?? builder);
    print(line(summarise(workload, builder, { measured, reference })));
  }
}

/** A warm store has built the same before; for start-up this is the file cache of the system. */
async function warmUp(workload: Workload, builder: Builder, context: string): Promise<void> {
  if (workload.store === 'cold') return;
  if (workload.project !== 'none') await builder.reset();
  await measureBuild(workload, builder, context);
}

async function measureBuild(workload: Workload, builder: Builder, context: string): Promise<Measurement> {
  let elapsedMs = 0;
  let peakBytes = 0;
  for (const command of commandsOf(workload, builder, context)) {
    const measured = await measure(command, work);
    elapsedMs += measured.elapsedMs;
    peakBytes = Math.max(peakBytes, measured.peakBytes);
  }
  return { elapsedMs, peakBytes };
}

function commandsOf(workload: Workload, builder: Builder, context: string): readonly (readonly string[])[] {
  if (workload.project === 'none') return [builder.version];
  const output =
    workload.output === 'store' ? 'store' : ({ archive: archiveOf(builder), compression: workload.output } as const);
  return builder.commands({ context, cache: workload.cache, output });
}

function archiveOf(builder: Builder): string {
  return join(work, `${builder.name}.tar`);
}

async function project(name: ProjectName): Promise<string> {
  const folder = join(work, 'projects', name);
  await mkdir(join(work, 'projects'), { recursive: true });
  if (!made.has(name)) generateProject(name, folder, scale);
  made.add(name);
  return folder;
}

function summarise(
  workload: Workload,
  builder: Builder,
  { measured, reference }: { measured: readonly Measurement[]; reference: readonly Measurement[] | undefined },
): readonly string[] {
  const times = measured.map(({ elapsedMs }) => elapsedMs).toSorted((a, b) => a - b);
  const pairs = measured.map(({ elapsedMs }, run) => elapsedMs / (reference?.[run]?.elapsedMs ?? elapsedMs));
  const ratio = reference === undefined ? '' : `${middle(pairs.toSorted((a, b) => a - b)).toFixed(2)}×`;
  const peak = Math.max(...measured.map(({ peakBytes }) => peakBytes)) / 1e6;
  const isFirst = reference === undefined;
  return [
    isFirst ? `${workload.id} ${workload.title}` : '',
    builder.name,
    ...[middle(times), times[0] ?? 0, times.at(-1) ?? 0].map(seconds),
    isFirst ? seconds(workload.targetMs) : '',
    ratio,
    peak.toFixed(0),
  ];
}

function middle(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function line(cells: readonly string[]): string {
  const widths = [40, 9, 8, 8, 8, 8, 7, 8];
  return `${cells.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' ')}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
