import { expect, test } from 'vitest';
import { ProgressState } from '../../src/cli/progress-state.ts';
import { at, stateAfter } from './events.ts';

const texts = (state: ProgressState, step: string): readonly string[] =>
  state.lookup(step)?.lines.map(({ text }) => text) ?? [];

test('steps are numbered in the order in which they start', () => {
  const state = stateAfter(at.planned(0, 'a', 'b', 'c'), at.started(1, 'c'), at.started(2, 'a'));
  expect([...state.steps].map(({ info, number, phase }) => [info.name, number, phase])).toEqual([
    ['a', 2, 'running'],
    ['b', undefined, 'waiting'],
    ['c', 1, 'running'],
  ]);
});

test('a step that was never planned appears under its id', () => {
  expect(stateAfter(at.started(0, 'export')).lookup('export')).toMatchObject({
    info: { name: 'export' },
    number: 1,
    phase: 'running',
  });
});

test('planning again keeps what is known', () => {
  const state = stateAfter(at.planned(0, 'a'), at.started(1, 'a'), at.planned(2, 'a', 'b'));
  expect([state.total, state.lookup('a')?.phase]).toEqual([2, 'running']);
});

test('a cached step needs no start', () => {
  expect(stateAfter(at.planned(0, 'a'), at.done(5, 'a', 'yes')).lookup('a')).toMatchObject({
    phase: 'cached',
    number: 1,
  });
});

test('a step canceled before its start keeps no number', () => {
  expect(stateAfter(at.planned(0, 'a'), at.canceled(5, 'a')).lookup('a')).not.toHaveProperty('number');
});

test('output is cut into lines whatever the chunks are', () => {
  const bytes = Buffer.from('één\r\ntwo\n漢字');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const state = stateAfter(at.output(0, 'a', bytes.subarray(0, cut)), at.output(1, 'a', bytes.subarray(cut)));
    expect([...texts(state, 'a'), state.lookup('a')?.pending]).toEqual(['één', 'two', '漢字']);
    state.apply(at.done(2, 'a'));
    expect(texts(state, 'a')).toEqual(['één', 'two', '漢字']);
  }
});

test('both streams have lines of their own', () => {
  const state = stateAfter(at.output(0, 'a', 'out'), at.output(1, 'a', 'err\n', 'stderr'), at.output(2, 'a', 'put\n'));
  expect(texts(state, 'a')).toEqual(['err', 'output']);
});

test('only the last lines are kept', () => {
  const state = stateAfter(at.output(0, 'a', Array.from({ length: 1000 }, (_, line) => `${line}\n`).join('')));
  expect([texts(state, 'a').length, texts(state, 'a').at(-1)]).toEqual([40, '999']);
});

test('a line without an end does not fill the memory', () => {
  const state = new ProgressState();
  let length = 0;
  for (let chunk = 0; chunk < 100; chunk++) {
    for (const line of state.apply(at.output(chunk, 'a', 'x'.repeat(10_000))).lines) length += line.text.length;
  }
  expect(length).toBeGreaterThan(900_000);
  expect(length + (state.lookup('a')?.pending.length ?? 0)).toBe(1_000_000);
});

test('a progress bar that never ends its line does not fill the memory', () => {
  const state = new ProgressState();
  for (let percent = 0; percent < 100_000; percent++) state.apply(at.output(percent, 'a', `${percent} of 100000\r`));
  expect(state.lookup('a')?.pending).toBe('99999 of 100000');
});

test('a part keeps the time of its first report', () => {
  const state = stateAfter(
    at.status(5, 'a', { id: 'x', current: 1, total: 2 }),
    at.status(9, 'a', { id: 'x', current: 2, total: 2 }),
  );
  const status = state.lookup('a')?.statuses.get('x');
  expect((status?.timeMs ?? 0) - (status?.startedMs ?? 0)).toBe(4);
});

test('a step that counted as cached and runs after all is under way again', () => {
  const state = stateAfter(at.done(1, 'a', 'yes'), at.started(5, 'a'));
  expect(state.lookup('a')).toMatchObject({ phase: 'running', number: 1 });
  expect(state.lookup('a')?.endedMs).toBeUndefined();
  state.apply(at.done(9, 'a', 'no'));
  const step = state.lookup('a');
  expect(step?.phase).toBe('done');
  expect((step?.endedMs ?? 0) - (step?.startedMs ?? 0)).toBe(4);
});
