import { describe, expect, test } from 'vitest';
import { layout, type LayoutOptions } from '../../src/cli/layout.ts';
import { openPalette, plainPalette } from '../../src/cli/palette.ts';
import { fitText, padText, textWidth } from '../../src/cli/text-width.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { at, startMs, stateAfter } from './events.ts';

function frame(events: readonly ProgressEvent[], o: Partial<LayoutOptions> & { ms?: number } = {}): readonly string[] {
  const { ms = 3200, ...options } = o;
  return layout(stateAfter(...events).steps, {
    columns: 60,
    rows: 24,
    startMs,
    nowMs: startMs + ms,
    palette: plainPalette,
    phase: 'building',
    ...options,
  });
}

const lines = (count: number, name: string): string =>
  Array.from({ length: count }, (_, index) => `${name} ${index + 1}\n`).join('');

test('layout: running steps show their last lines, finished ones their time', () => {
  const events = [
    at.planned(0, '[base 1/1] FROM debian', '[a 1/2] RUN make', '[b 1/2] COPY . /src', '[a 2/2] RUN install'),
    at.done(0, '[base 1/1] FROM debian', 'yes'),
    at.started(100, '[b 1/2] COPY . /src'),
    at.started(200, '[a 1/2] RUN make'),
    at.output(300, '[a 1/2] RUN make', `${lines(9, 'compiled file')}linking\tall`),
    at.done(1300, '[b 1/2] COPY . /src'),
  ];
  expect(frame(events).join('\n')).toBe(`[+] Building 3.2s (2/4)
 => CACHED [base 1/1] FROM debian                       0.0s
 => [b 1/2] COPY . /src                                 1.2s
 => [a 1/2] RUN make                                    3.0s
 => => # compiled file 5
 => => # compiled file 6
 => => # compiled file 7
 => => # compiled file 8
 => => # compiled file 9
 => => # linking    all`);
});

test('layout: the frame that stays has all steps and no output', () => {
  const events = [
    at.planned(0, 'one', 'two', 'three', 'four'),
    at.done(100, 'one'),
    at.started(100, 'two'),
    at.output(150, 'two', 'hello\n'),
    at.failed(200, 'two', new Error('x')),
    at.started(150, 'three'),
    at.canceled(210, 'three'),
    at.canceled(210, 'four'),
  ];
  expect(frame(events, { phase: 'failed', rows: Infinity, columns: 30, ms: 300 }).join('\n'))
    .toBe(`[+] Building 0.3s (3/4) FAILED
 => one                   0.0s
 => ERROR two             0.1s
 => CANCELED three        0.1s`);
});

test('layout: what is under way of a download is shown, with a short digest', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const events = [
    at.status(0, 'FROM debian', { id: 'manifest', current: 5, total: 5 }),
    at.status(0, 'FROM debian', { id: digest, current: 0, total: 50_000_000 }),
    at.status(1500, 'FROM debian', { id: digest, current: 10_000_000, total: 50_000_000 }),
  ];
  expect(frame(events).slice(1)).toEqual([
    ' => FROM debian                                         3.2s',
    ' => => manifest 5B / 5B done',
    ' => => sha256:0123456789ab 10.0MB / 50.0MB 1.5s',
  ]);
});

test('layout: a step that took long last time shows how long', () => {
  const event: ProgressEvent = {
    type: 'planned',
    steps: [{ id: 'a', name: 'RUN a', inputs: [], expectedMs: 65_000 }],
    timeMs: startMs,
  };
  expect(frame([event, at.started(0, 'a')])[1]).toBe(' => RUN a                                     3.2s of ~1m05s');
});

describe('layout: a low screen', () => {
  const running = ['r1', 'r2', 'r3'].flatMap((name) => [at.started(50, name), at.output(60, name, lines(8, name))]);
  const finished = Array.from({ length: 10 }, (_, index) => at.done(index, `f${index + 1}`, index < 4 ? 'yes' : 'no'));

  test('gives running steps the same few lines, and sums up old steps', () => {
    expect(frame([...finished, ...running], { rows: 12, columns: 30 })).toEqual([
      '[+] Building 3.2s (10/13)',
      ' => 9 steps finished, 4 of th…',
      ' => f10                   0.0s',
      ' => r1                    3.2s',
      ' => => # r1 7',
      ' => => # r1 8',
      ' => r2                    3.2s',
      ' => => # r2 7',
      ' => => # r2 8',
      ' => r3                    3.2s',
      ' => => # r3 7',
      ' => => # r3 8',
    ]);
  });

  test('keeps running steps when nothing else fits', () => {
    expect(frame([...finished, ...running], { rows: 3, columns: 30 })).toEqual([
      '[+] Building 3.2s (10/13)',
      ' => r1                    3.2s',
      ' => 12 more steps',
    ]);
  });

  test('is never exceeded, at any size', () => {
    const failed = at.failed(100, 'bad', new Error('x'));
    for (let rows = 2; rows < 40; rows++) {
      for (const columns of [5, 12, 20, 80, 200]) {
        const shown = frame([...finished, failed, ...running], { rows, columns });
        expect(shown.length).toBeLessThanOrEqual(rows);
        expect(Math.max(...shown.map(textWidth))).toBeLessThanOrEqual(Math.max(columns, 13));
      }
    }
  });
});

test('layout: names and output cannot break the frame', () => {
  const name = 'RUN <<EOF\n\u001B[2Jecho 漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字\nEOF';
  const shown = frame([at.started(0, name), at.output(1, name, '\u001B[10Aup\u0007\n漢'.repeat(100))], { columns: 40 });
  expect(shown.every((line) => textWidth(line) <= 40 && !/\p{Cc}/u.test(line))).toBe(true);
  expect(shown[1]).toBe(' => RUN <<EOF echo 漢字漢字漢字漢…  3.2s');
});

test('layout: colours follow the outcome', () => {
  const palette = openPalette({ isTTY: true }, { BUILDKIT_COLORS: 'run=green:error=1,2,3:nonsense' });
  const shown = frame([at.done(0, 'a'), at.failed(1, 'b', new Error('x'))], { palette, columns: 20 });
  expect(shown.slice(1)).toEqual([
    '\u001B[32m => a          \u001B[0m 0.0s',
    '\u001B[38;2;1;2;3m => ERROR b    \u001B[0m 0.0s',
  ]);
});

test('widths are those of a terminal', () => {
  expect(['abc', '漢字', 'e\u0301', '🎉', '\u200B'].map(textWidth)).toEqual([3, 4, 1, 2, 0]);
  expect([fitText('漢字漢字', 5), fitText('abc', 3), fitText('abcd', 3), fitText('abc', 1), fitText('abc', 0)]).toEqual(
    ['漢字…', 'abc', 'ab…', '…', ''],
  );
  expect(padText('漢字漢字', 6)).toBe('漢字… ');
});
