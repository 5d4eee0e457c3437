import { expect, test } from 'vitest';
import { openPalette, plainPalette } from '../../src/cli/palette.ts';
import { plainRenderer } from '../../src/cli/render-plain.ts';
import { BuildError } from '../../src/core/error.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { at, play } from './events.ts';

function render(events: readonly ProgressEvent[], o: { colours?: 'keep' | 'strip'; tty?: boolean } = {}): string {
  let text = '';
  const palette = o.tty === true ? openPalette({ isTTY: true }, {}) : plainPalette;
  play(plainRenderer({ write: (part) => (text += part), palette, colours: o.colours ?? 'strip' }), events);
  return text;
}

const [base, make, test1] = ['[build 1/2] FROM debian', '[build 2/2] RUN make', '[test 1/1] RUN ./test'];

test('plain: each step has a header, its output with times, and an end', () => {
  const error = new BuildError('EXEC_FAILED', { command: '/bin/sh -c ./test', exitCode: 2 });
  expect(
    render([
      at.planned(0, base, make, test1, 'export'),
      at.done(1, base, 'yes'),
      at.started(10, make),
      at.started(20, test1),
      at.output(133, make, 'cc -c a.c\ncc -c'),
      at.output(140, test1, 'ok 1\n'),
      at.output(210, make, ' b.c\n'),
      at.output(211, make, 'warning: unused\n', 'stderr'),
      at.output(300, test1, 'not ok 2'),
      at.failed(2020, test1, error),
      at.canceled(2030, make),
      at.canceled(2031, 'export'),
    ]),
  ).toBe(`#1 [build 1/2] FROM debian
#1 CACHED

#2 [build 2/2] RUN make
#3 [test 1/1] RUN ./test
#2 0.123 cc -c a.c
#3 0.120 ok 1
#2 0.200 cc -c b.c
#2 0.201 warning: unused
#3 2.000 not ok 2
#3 ERROR: process "/bin/sh -c ./test" did not complete successfully: exit code: 2

#2 CANCELED

`);
});

test('plain: parts of a step are reported now and then, and when they are complete', () => {
  const part = (ms: number, current: number): ProgressEvent =>
    at.status(ms, base, { id: 'sha256:4bcf', current, total: 3_420_000 });
  expect(
    render([
      at.started(0, base),
      ...Array.from({ length: 30 }, (_, index) => part(100 + index * 100, index * 100_000)),
      part(3200, 3_420_000),
      part(3300, 3_420_000),
      at.status(3400, base, { id: 'extracting', current: 0, unit: 'none' }),
      at.done(3500, base),
    ]),
  ).toBe(`#1 [build 1/2] FROM debian
#1 sha256:4bcf 100kB / 3.42MB 0.1s
#1 sha256:4bcf 2.10MB / 3.42MB 2.1s
#1 sha256:4bcf 3.42MB / 3.42MB 3.1s done
#1 extracting
#1 DONE 3.5s

`);
});

test('plain: a line is never shortened', () => {
  const line = 'x'.repeat(50_000);
  expect(render([at.output(0, make, `${line}\n`), at.done(1, make)])).toContain(`#1 0.000 ${line}\n`);
});

test('plain: nothing that a program prints moves the cursor', () => {
  const events = [at.output(0, make, '\u001B[2K\u001B[32mok\u001B[0m\n\u001B[1A10%\r20%\r\n'), at.done(0, make)];
  expect(render(events)).toBe('#1 [build 2/2] RUN make\n#1 0.000 ok\n#1 0.000 20%\n#1 DONE 0.0s\n\n');
  expect(render(events, { colours: 'keep' })).toContain('#1 0.000 \u001B[32mok\u001B[0m\u001B[0m\n');
});

test('plain: a step of several lines has a header of one', () => {
  expect(render([at.started(0, 'RUN <<EOF\n  a\n  b\nEOF')])).toBe('#1 RUN <<EOF a b EOF\n');
});

test('plain: ends are coloured on a terminal', () => {
  expect(render([at.done(0, base, 'yes')], { tty: true })).toBe(
    '#1 [build 1/2] FROM debian\n#1 \u001B[34mCACHED\u001B[0m\n\n',
  );
});
