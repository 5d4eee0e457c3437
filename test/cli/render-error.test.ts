import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openPalette, plainPalette } from '../../src/cli/palette.ts';
import { renderWarnings } from '../../src/cli/render-diagnostics.ts';
import { renderError } from '../../src/cli/render-error.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import { formatExcerpt } from '../../src/cli/source-excerpt.ts';
import { Interruption } from '../../src/cli/interruption.ts';
import type { BuildRequest } from '../../src/build-request.ts';
import type { Diagnostic, SourceRange } from '../../src/core/diagnostic.ts';
import { BuildError } from '../../src/core/error.ts';
import { at, stateAfter } from './events.ts';
import { fakeApi, fakeIo } from './fake-io.ts';

const text =
  'FROM alpine AS build\n\nCOPY . /src\nRUN make \\\n  all\n\tRUN --mont=type=cache x\nRUN <<EOF\na\nb\nc\nd\ne\nf\ng\nh\nEOF\n';

function range(...[line, column, endLine, endColumn]: readonly [number, number, number, number]): SourceRange {
  return { file: 'Dockerfile', start: { line, column }, end: { line: endLine, column: endColumn } };
}

const options = { palette: plainPalette, texts: () => text, detail: 'normal' } as const;

test.each([
  ['several lines', range(4, 1, 5, 6), '   2 |\n   3 |     COPY . /src\n   4 | >>> RUN make \\\n   5 | >>>   all\n'],
  ['a whole line', range(3, 1, 3, 12), '   1 |     FROM alpine AS build\n   2 |\n   3 | >>> COPY . /src\n'],
  [
    'a part behind a tab',
    range(6, 6, 6, 12),
    '   4 |     RUN make \\\n   5 |       all\n   6 | >>>     RUN --mont=type=cache x\n     |             ^^^^^^\n',
  ],
  ['a point', range(1, 6, 1, 6), '   1 | >>> FROM alpine AS build\n     |          ^\n'],
  [
    'a heredoc',
    range(7, 1, 16, 4),
    '   5 |       all\n   6 |         RUN --mont=type=cache x\n   7 | >>> RUN <<EOF\n   8 | >>> a\n   9 | >>> b\n  10 | >>> c\n  11 | >>> d\n  12 | >>> e\n  13 | >>> f\n  14 | >>> g\n     | >>> (2 more lines)\n',
  ],
  ['a range up to the next line', range(1, 1, 2, 1), '   1 | >>> FROM alpine AS build\n'],
])('excerpt: %s', (_what, place, expected) => {
  expect(formatExcerpt(place, text, plainPalette)).toBe(
    `Dockerfile:${place.start.line}:${place.start.column}\n${expected}`,
  );
});

test('excerpt: carets take the room of wide characters', () => {
  expect(formatExcerpt(range(1, 9, 1, 11), 'RUN 漢字漢 xy zz', plainPalette)).toContain(
    '   1 | >>> RUN 漢字漢 xy zz\n     |                ^^\n',
  );
});

test('excerpt: without its text, only the place', () => {
  expect(formatExcerpt(range(3, 1, 3, 2), undefined, plainPalette)).toBe('Dockerfile:3:1\n');
});

test('error: output of the failed step, excerpt, message', () => {
  const error = new BuildError(
    'EXEC_FAILED',
    { command: '/bin/sh -c make', exitCode: 2, reason: 'make: not found' },
    { range: range(4, 1, 5, 6) },
  );
  const name = '[build 3/4] RUN make all';
  const state = stateAfter(
    at.started(0, name),
    at.output(312, name, `${'noise\n'.repeat(30)}\u001B[31mmake:\u001B[0m stop`),
    at.failed(400, name, error),
  );
  expect(renderError(error, { ...options, step: state.lookup(name) })).toBe(`------
 > [build 3/4] RUN make all:
${'0.312 noise\n'.repeat(19)}0.400 make: stop
------
Dockerfile:4:1
   2 |
   3 |     COPY . /src
   4 | >>> RUN make \\
   5 | >>>   all
error EXEC_FAILED: process "/bin/sh -c make" did not complete successfully: exit code: 2
hint: make: not found
`);
});

test('error: every diagnostic of an invalid Dockerfile, by place', () => {
  const diagnostics: readonly Diagnostic[] = [
    {
      severity: 'error',
      code: 'UnknownFlag',
      message: 'unknown flag: --mont',
      range: range(6, 6, 6, 12),
      help: 'did you mean --mount?',
    },
    {
      severity: 'warning',
      code: 'StageNameCasing',
      message: 'stage name should be lower case',
      range: range(1, 16, 1, 21),
      url: 'https://example.com/rule',
    },
    { severity: 'error', code: 'NoStage', message: 'no stage' },
  ];
  expect(renderError(new BuildError('DOCKERFILE_INVALID', { file: 'Dockerfile', diagnostics }), options))
    .toBe(`error NoStage: no stage

Dockerfile:1:16
   1 | >>> FROM alpine AS build
     |                    ^^^^^
warning StageNameCasing: stage name should be lower case
more: https://example.com/rule

Dockerfile:6:6
   4 |     RUN make \\
   5 |       all
   6 | >>>     RUN --mont=type=cache x
     |             ^^^^^^
error UnknownFlag: unknown flag: --mont
hint: did you mean --mount?
`);
});

test('error: a bug asks to be reported, and shows its stack with --debug', () => {
  const bug = new TypeError('x is not a function', { cause: new Error('deeper') });
  expect(renderError(bug, options)).toBe(
    'error INTERNAL: x is not a function\nhint: this is a bug in tsbuild; please report it with the output of the same command with --debug\n',
  );
  expect(renderError(bug, { ...options, detail: 'debug' })).toMatch(
    /^error INTERNAL: x is not a function\nTypeError: x is not a function\n {4}at [^]*\ncaused by: Error: deeper\n/,
  );
  expect(renderError('thrown text', options)).toContain('error INTERNAL: thrown text\n');
});

test('error: colours', () => {
  const error = new BuildError('USAGE', { problem: 'x', suggestion: 'y' });
  expect(renderError(error, { ...options, palette: openPalette({ isTTY: true }, {}) })).toBe(
    '\u001B[31merror USAGE:\u001B[0m x\n\u001B[1mhint:\u001B[0m y\n',
  );
  expect(renderError(error, { ...options, palette: openPalette({ isTTY: true }, { NO_COLOR: '1' }) })).toBe(
    'error USAGE: x\nhint: y\n',
  );
});

test('warnings: one line each, each once', () => {
  const warning: Diagnostic = { severity: 'warning', code: 'Rule', message: 'what', range: range(3, 1, 3, 2) };
  expect(renderWarnings([warning, { ...warning, range: range(1, 1, 1, 2) }, { ...warning }], plainPalette)).toBe(
    '2 warnings:\n - Dockerfile:1: Rule: what\n - Dockerfile:3: Rule: what\n',
  );
  expect(renderWarnings([], plainPalette)).toBe('');
});

test('error: the excerpt comes from the Dockerfile of the context, or from standard input', async () => {
  await using context = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
  await writeFile(join(context.path, 'Dockerfile'), 'FROM scratch\nRUN false\n');
  const fromFile = fakeIo();
  expect(await runCli([context.path], fromFile, fakeApi({ build: failing('Dockerfile') }))).toBe(1);
  expect(fromFile.stderr.text).toBe(blockFor('Dockerfile'));
  const fromStdin = fakeIo({ stdin: 'FROM scratch\nRUN false\n' });
  expect(await runCli(['-'], fromStdin, fakeApi({ build: failing('<stdin>') }))).toBe(1);
  expect(fromStdin.stderr.text).toBe(blockFor('<stdin>'));
});

test.each([
  ['SIGINT', 130, 'canceled: interrupted by SIGINT\n'],
  ['SIGTERM', 143, 'canceled: interrupted by SIGTERM\n'],
  ['SIGPIPE', 141, ''],
] as const)('error: after %s the status is %i', async (signal, status, message) => {
  const controller = new AbortController();
  const io = fakeIo({ signal: controller.signal });
  const build = (request: BuildRequest): Promise<never> => {
    controller.abort(new Interruption(signal));
    return Promise.reject(request.signal?.reason as Error);
  };
  expect([await runCli(['.'], io, fakeApi({ build })), io.stderr.text]).toEqual([status, message]);
});

/** A build whose second line fails. */
function failing(file: string): (request: BuildRequest) => never {
  return ({ progress }) => {
    const place = { ...range(2, 1, 2, 10), file };
    const error = new BuildError('EXEC_FAILED', { command: 'false', exitCode: 1 });
    progress?.(at.failed(0, 'RUN false', error));
    throw error.at(place);
  };
}

function blockFor(file: string): string {
  return `#1 RUN false
#1 ERROR: process "false" did not complete successfully: exit code: 1

${file}:2:1
   1 |     FROM scratch
   2 | >>> RUN false
error EXEC_FAILED: process "false" did not complete successfully: exit code: 1
`;
}
