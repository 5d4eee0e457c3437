/**
 * File work on 20,000 files (100 MB): what speed.md's W3 needs of the sandbox, and a trivial step's share. Prints milliseconds: the best and
 * the median of some runs. Run it by hand: `node test/bench/files.ts [FILES]`.
 */
import { createReadStream, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { openSandbox } from '../../sandbox/open.ts';
import type { FileOp } from '../../src/core/graph.ts';
import type { LocalTree } from '../../src/core/tree.ts';
import { openTemp } from '../support/temp.ts';

const files = Number(process.argv[2] ?? 20_000);
const sizeBytes = 5000;
const runs = 5;

const context = openTemp();
makeContext(context.path);
await delay(2500);
const tree: LocalTree = { kind: 'local', name: 'context', root: context.path, ignore: [] };
const temps: ReturnType<typeof openTemp>[] = [];
const selection = { paths: ['/'], exclude: [], parents: 'drop' } as const;
const op: FileOp = {
  kind: 'file',
  base: 'scratch',
  actions: [{ type: 'copy', from: 0, sources: ['/'], dest: '/src', exclude: [], parents: 'drop', unpack: 'never' }],
};

const times = new Map<string, number[]>();
/** Of all threads; less noisy than the clock where others use the machine. */
const cpuTimes = new Map<string, number[]>();
for (let run = 0; run < runs; run++) {
  const temp = openTemp();
  temps.push(temp);
  await using sandbox = await openSandbox({ stateDir: temp.at('s') });
  await timed('cold digest', () => sandbox.files.contentDigest(tree, selection));
  await timed('cached digest', () => sandbox.files.contentDigest(tree, selection));
  touchAll(context.path);
  await timed('touched digest', () => sandbox.files.contentDigest(tree, selection));
  const layer = await timed('copy', () => sandbox.files.run(op, [tree]));
  await timed('write tar', () => sandbox.layers.writeTar(layer, [], { to: temp.at('t.tar') }));
  await timed('apply tar', () =>
    sandbox.layers.apply(createReadStream(temp.at('t.tar'), { highWaterMark: 1 << 20 }), []),
  );
  await timed('export tar', async () => {
    let size = 0;
    for await (const chunk of sandbox.files.exportTar([layer])) size += chunk.length;
    return size;
  });
  await timed('usage', () => sandbox.snapshotter.usage(layer));
  await step(sandbox, temp.path, layer);
  await timed('20 trivial steps: prepare, commit, tar', async () => {
    for (let i = 0; i < 20; i++) await step(sandbox, temp.path, layer);
  });
}
process.stdout.write(
  `${'milliseconds'.padEnd(42)}${'best'.padStart(10)}${'median'.padStart(10)}${'CPU best'.padStart(10)}\n`,
);
for (const [name, measured] of times) {
  const sorted = measured.toSorted((a, b) => a - b);
  const figures = [sorted[0], sorted[Math.floor(sorted.length / 2)], Math.min(...(cpuTimes.get(name) ?? []))];
  process.stdout.write(`${name.padEnd(42)}${figures.map((figure = 0) => figure.toFixed(1).padStart(10)).join('')}\n`);
}
// Removed at the end: ext4 is slow at making files where many were removed a moment ago.
for (const temp of temps) temp[Symbol.dispose]();
context[Symbol.dispose]();

async function step(
  sandbox: Awaited<ReturnType<typeof openSandbox>>,
  temp: string,
  base: Parameters<typeof sandbox.snapshotter.remove>[0],
): Promise<void> {
  await using active = await sandbox.snapshotter.prepare([base]);
  if (active.root.type === 'overlay' && active.root.upper !== undefined)
    writeFileSync(join(active.root.upper, 'made'), 'x');
  const made = await active.commit();
  const to = join(temp, 'step.tar');
  await sandbox.layers.writeTar(made, [base], { to });
  rmSync(to);
}

async function timed<T>(name: string, act: () => Promise<T>): Promise<T> {
  const [start, cpuBefore] = [performance.now(), process.cpuUsage()];
  const result = await act();
  const cpu = process.cpuUsage(cpuBefore);
  times.set(name, [...(times.get(name) ?? []), performance.now() - start]);
  cpuTimes.set(name, [...(cpuTimes.get(name) ?? []), (cpu.user + cpu.system) / 1000]);
  return result;
}

function makeContext(root: string): void {
  let random = 12_345;
  for (let i = 0; i < files; i++) {
    const directory = join(root, `d${Math.floor(i / 1000)}`, `e${Math.floor(i / 50) % 20}`);
    if (i % 50 === 0) mkdirSync(directory, { recursive: true });
    random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
    writeFileSync(join(directory, `file-${i}.txt`), Buffer.alloc(sizeBytes, `${random}`));
  }
}

function touchAll(root: string): void {
  const now = new Date();
  for (let i = 0; i < files; i++)
    utimesSync(join(root, `d${Math.floor(i / 1000)}`, `e${Math.floor(i / 50) % 20}`, `file-${i}.txt`), now, now);
}
