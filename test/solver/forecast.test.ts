import { expect, test } from 'vitest';
import { criticalPath } from '../../solver/critical-path.ts';
import type { VertexId } from '../../src/core/graph.ts';
import { ScriptedBuild } from './scripted-build.ts';

/** base ← COPY from the context ← make; a tool of its own; COPY of the tool on top. */
function project(o: { readonly tool?: string; readonly base?: string } = {}, build = new ScriptedBuild()) {
  const base = build.run(o.base ?? 'base');
  const copy = build.copy([base, build.context()], { base: 'input' });
  const make = build.run('make', [copy]);
  const tool = build.run(o.tool ?? 'tool');
  const target = build.copy([make, tool], { base: 'input', dest: '/tool' });
  return { build, base, copy, make, tool, target };
}

async function statesOf(build: ScriptedBuild, target: VertexId, ids: readonly VertexId[]): Promise<readonly unknown[]> {
  const { states } = await build.forecast(target);
  return ids.map((id) => states.get(id));
}

test('forecast: runs nothing, and everything would run in an empty store', async () => {
  const { build, base, copy, make, tool, target } = project();
  expect(await statesOf(build, target, [base, copy, make, tool, target])).toEqual(Array(5).fill('would-run'));
  expect(build.ran).toEqual([]);
  expect(build.events).toEqual([]);
});

test('forecast: all is cached after a build, and what changed would run with all above it', async () => {
  const { build, base, copy, make, target } = project();
  await build.solve(target);
  expect(await statesOf(build, target, [base, copy, make, target])).toEqual(Array(4).fill('cached'));
  build.contextContent = 'v2';
  expect(await statesOf(build, target, [base, copy, make, target])).toEqual([
    'cached',
    'would-run',
    'would-run',
    'would-run',
  ]);
});

test('forecast: a step that takes only files of one that would run may still be cached', async () => {
  const first = project();
  await first.build.solve(first.target);
  const second = project({ tool: 'other tool' }, first.build);
  const { build, make, tool, target } = second;
  expect(await statesOf(build, target, [make, tool, target])).toEqual(['cached', 'would-run', 'may-run']);
});

test('forecast: an equal result of another recipe is a hit', async () => {
  const { build, base, target } = project();
  await build.solve(target);
  build.contextContent = 'v2';
  const again = build.copy([base, build.context()], { base: 'input', dest: '/elsewhere' });
  await build.solve(again);
  expect(await statesOf(build, again, [again])).toEqual(['cached']);
});

test('forecast: --no-cache runs what is asked for', async () => {
  const build = new ScriptedBuild();
  await build.solve(build.run('make'));
  const anew = build.run('make', [], { ignoreCache: true });
  expect(await statesOf(build, anew, [anew])).toEqual(['would-run']);
});

test('critical path: the longest chain', () => {
  const { build, base, copy, make, tool, target } = project();
  const costs = new Map([
    [base, 1],
    [copy, 2],
    [make, 4],
    [tool, 5],
    [target, 8],
  ]);
  expect(criticalPath(build.builder.build(), (id) => costs.get(id) ?? 0)).toBe(15);
  expect(criticalPath(new Map(), () => 1)).toBe(0);
});
