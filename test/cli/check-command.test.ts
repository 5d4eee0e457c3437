import { chmod, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { applyEdits } from '../../src/cli/apply-edits.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import type { Diagnostic, SourceEdit } from '../../src/core/diagnostic.ts';
import type { CheckResult, TsbuildApi } from '../../src/store-handle.ts';
import { fakeApi, fakeIo, type FakeIo } from './fake-io.ts';

const file = 'Dockerfile';

function edit(line: number, [from, to]: readonly [number, number], text: string): SourceEdit {
  return { range: { file, start: { line, column: from }, end: { line, column: to } }, text };
}

function finding(code: string, ...edits: readonly SourceEdit[]): Diagnostic {
  return {
    severity: 'warning',
    code,
    message: `${code} found`,
    edits,
    range: edits[0]?.range ?? edit(1, [1, 5], '').range,
  };
}

describe('edits', () => {
  const text = 'from a\nRUN b\r\ncopy c\n';
  const apply = (...diagnostics: readonly Diagnostic[]): string => applyEdits(file, text, diagnostics).text;

  test('replace, insert and delete', () => {
    expect(
      apply(
        finding('A', edit(1, [1, 5], 'FROM')),
        finding('B', edit(3, [1, 5], '')),
        finding('C', edit(2, [6, 6], 'b')),
      ),
    ).toBe('FROM a\nRUN bb\r\n c\n');
  });
  test('of a finding are applied together or not at all', () => {
    const { text: edited, fixed } = applyEdits(file, text, [
      finding('A', edit(1, [1, 5], 'FROM')),
      finding('B', edit(3, [1, 2], 'X'), edit(1, [5, 6], 'Y'), edit(1, [4, 5], 'Z')),
    ]);
    expect([edited, fixed.map(({ code }) => code)]).toEqual(['FROM a\nRUN b\r\ncopy c\n', ['A']]);
  });
  test.each([
    ['overlap', [edit(1, [1, 3], 'x'), edit(1, [2, 4], 'y')]],
    ['insert at one place', [edit(1, [1, 1], 'x'), edit(1, [1, 1], 'y')]],
    ['leave the line', [edit(1, [1, 9], 'x')]],
    ['leave the file', [edit(9, [1, 1], 'x')]],
    ['run backwards', [edit(1, [3, 2], 'x')]],
    ['are for another file', [{ ...edit(1, [1, 2], 'x'), range: { ...edit(1, [1, 2], 'x').range, file: 'other' } }]],
  ])('that %s are left', (_what, edits) => {
    expect(apply(finding('A', ...edits))).toBe(text);
  });
  test('may touch', () => {
    expect(apply(finding('A', edit(1, [1, 3], 'X')), finding('B', edit(1, [3, 5], 'Y')))).toBe(
      'XY a\nRUN b\r\ncopy c\n',
    );
  });
});

/** Finds words in lower case, as a linter on the file itself. */
function casing(path: string): TsbuildApi['check'] {
  return async (): Promise<CheckResult> => {
    const text = await readFile(path);
    const [word = ''] = /^[a-z]+/.exec(text.toString()) ?? [];
    const diagnostics = word === '' ? [] : [finding('Casing', edit(1, [1, word.length + 1], word.toUpperCase()))];
    return { file, text, diagnostics, failed: false };
  };
}

async function check(
  argv: readonly string[],
  text: string,
): Promise<{ status: number; io: FakeIo; text: string; names: readonly string[]; mode: number }> {
  await using context = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
  const path = join(context.path, file);
  await writeFile(path, text);
  await chmod(path, 0o640);
  const io = fakeIo();
  const status = await runCli([...argv, context.path], io, fakeApi({ check: casing(path) }));
  return {
    status,
    io,
    text: await readFile(path, 'utf8'),
    names: await readdir(context.path),
    mode: (await stat(path)).mode & 0o777,
  };
}

describe('check', () => {
  test.each([[['check']], [['--check']], [['--call=check']], [['build', '--call', 'lint']]])(
    '%j prints findings and exits with 1',
    async (argv) => {
      const { status, io } = await check(argv, 'from a\n');
      expect([status, io.stdout.text, io.stderr.text]).toEqual([
        1,
        'Dockerfile:1:1\n   1 | >>> from a\n     |     ^^^^\nwarning Casing: Casing found\n\nCheck complete, 1 warning found.\n',
        '',
      ]);
    },
  );
  test('of a good file exits with 0', async () => {
    const { status, io } = await check(['check'], 'FROM a\n');
    expect([status, io.stdout.text]).toEqual([0, 'Check complete, no warnings found.\n']);
  });
  test('in JSON', async () => {
    const { status, io } = await check(['check', '--format=json'], 'from a\n');
    expect([status, JSON.parse(io.stdout.text)]).toEqual([
      1,
      { file, failed: false, diagnostics: [finding('Casing', edit(1, [1, 5], 'FROM'))] },
    ]);
  });
  test('in SARIF', async () => {
    const { io } = await check(['--call=check,format=sarif'], 'from a\n');
    const region = { startLine: 1, startColumn: 1, endLine: 1, endColumn: 5 };
    expect(JSON.parse(io.stdout.text)).toMatchObject({
      version: '2.1.0',
      runs: [
        {
          tool: { driver: { name: 'tsbuild', rules: [{ id: 'Casing' }] } },
          results: [
            {
              ruleId: 'Casing',
              level: 'warning',
              message: { text: 'Casing found' },
              locations: [{ physicalLocation: { artifactLocation: { uri: 'Dockerfile' }, region } }],
              fixes: [
                { artifactChanges: [{ replacements: [{ deletedRegion: region, insertedContent: { text: 'FROM' } }] }] },
              ],
            },
          ],
        },
      ],
    });
  });
  test('--fix mends the file in place, and checks again', async () => {
    const { status, io, text, names, mode } = await check(['check', '--fix'], 'from a\n');
    expect({ status, text, names, mode, stderr: io.stderr.text }).toEqual({
      status: 0,
      text: 'FROM a\n',
      names: [file],
      mode: 0o640,
      stderr: 'fixed 1 finding in Dockerfile\n',
    });
  });
  test('--fix leaves a file that is not UTF-8', async () => {
    await using context = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
    const path = join(context.path, file);
    await writeFile(path, Buffer.from('from \xff\n', 'latin1'));
    const io = fakeIo();
    expect(await runCli(['check', '--fix', context.path], io, fakeApi({ check: casing(path) }))).toBe(2);
    expect(await readFile(path, 'latin1')).toBe('from \xff\n');
  });
});

const OUTLINE = `TARGET:      release
DESCRIPTION: what ships

BUILD ARG   VALUE   DESCRIPTION
VERSION     1       which

SECRET   REQUIRED
token    yes

SSH       REQUIRED
default   no

CACHE MOUNT   TARGET         SHARING
go            /root/.cache   locked
`;

describe('outline and targets', () => {
  const api = fakeApi({
    targets: () =>
      Promise.resolve({
        targets: [
          { name: 'build', base: 'debian', default: false },
          { name: 'release', description: 'what ships', base: 'scratch', default: true },
        ],
      }),
    outline: () =>
      Promise.resolve({
        name: 'release',
        description: 'what ships',
        args: [{ name: 'VERSION', value: '1', description: 'which' }],
        secrets: [{ name: 'token', required: true }],
        ssh: [{ name: 'default', required: false }],
        cache: [{ id: 'go', target: '/root/.cache', sharing: 'locked' }],
      }),
  });
  test('are tables', async () => {
    const [targets, outline] = [fakeIo(), fakeIo()];
    await runCli(['--call=targets', '.'], targets, api);
    expect(targets.stdout.text).toBe(
      'TARGET              BASE      DESCRIPTION\nbuild               debian\nrelease (default)   scratch   what ships\n',
    );
    await runCli(['--call=outline', '.'], outline, api);
    expect(outline.stdout.text).toBe(OUTLINE);
  });
  test('are for `check` to call as well', async () => {
    const [outline, json] = [fakeIo(), fakeIo()];
    await runCli(['check', '--call=outline', '.'], outline, api);
    expect(outline.stdout.text).toBe(OUTLINE);
    await runCli(['check', '--call', 'outline,format=json', '.'], json, api);
    expect(JSON.parse(json.stdout.text)).toMatchObject({
      args: [{ name: 'VERSION' }],
      secrets: [{ name: 'token' }],
      ssh: [{ name: 'default' }],
      cache: [{ id: 'go', sharing: 'locked' }],
    });
  });
  test('or JSON', async () => {
    const io = fakeIo();
    await runCli(['--call=targets,format=json', '.'], io, api);
    expect(JSON.parse(io.stdout.text)).toMatchObject({
      targets: [{ name: 'build' }, { name: 'release', default: true }],
    });
  });
});
