import { describe, expect, test } from 'vitest';
import { explainSteps, type TracedStep } from '../../solver/explain.ts';
import { compareFiles } from '../../solver/compare-files.ts';
import { matchSteps } from '../../solver/match-steps.ts';
import { maskValue } from '../../solver/secret-look.ts';
import { decodeStepTrace, toStepRecord, type StepTrace } from '../../solver/step-trace.ts';
import type { Cause, StepName } from '../../src/core/explanation.ts';
import type { SelectedFile } from '../../src/core/file-backend.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { ScriptedBuild } from './scripted-build.ts';

const [one, two] = [digestOf('one'), digestOf('two')];

function file(path: string, change: Partial<SelectedFile> = {}): SelectedFile {
  return { type: 'file', root: { index: 0, name: 'src' }, path, mode: 0o644, owner: '0:0', content: path, ...change };
}

const lists = new Map([
  [one, [file('', { type: 'directory', mode: 0o755 }), file('a'), file('b'), file('gone')]],
  [two, [file('', { type: 'directory', mode: 0o755 }), file('a', { content: 'new' }), file('b', { mode: 0o600 })]],
]);

const run: StepTrace = {
  stage: 'build',
  position: 1,
  text: 'RUN make',
  fields: [
    ['op', 'exec'],
    ['args', '["make"]'],
    ['env 0 PATH', '/bin'],
    ['env 1 VERSION', '1'],
    ['cwd', '/'],
  ],
  inputs: [{ kind: 'step', step: { stage: 'build', position: 0, text: 'COPY . .' }, key: 'k1' }],
};

function onImage(digest: string): StepTrace {
  return { ...run, inputs: [{ kind: 'image', reference: 'alpine:3', digest }] };
}

function fromUrl(key: string): StepTrace {
  return { ...run, inputs: [{ kind: 'remote', source: 'https://x/y', key }] };
}

function ofFiles(digest: string): StepTrace {
  return { ...run, inputs: [{ kind: 'files', name: 'context', paths: [['/src']], digests: [digest] }] };
}

function stepName(stage: string, position: number, text: string): StepName {
  return { stage, position, text };
}

/** The causes of one step that was `before` and is `after`. */
async function causes(
  before: StepTrace | undefined,
  after: StepTrace,
  o: Partial<TracedStep> = {},
): Promise<readonly Cause[]> {
  const step: TracedStep = { name: 'step', trace: after, state: 'ran', cache: 'use', ...o };
  const [explained] = await explainSteps([step], before === undefined ? [] : [before], {
    buildArgs: new Set(['VERSION']),
    lookupSelection: (digest) => Promise.resolve(lists.get(digest)),
  });
  return explained?.causes ?? [];
}

function withField(label: string, value: string | undefined, trace: StepTrace = run): StepTrace {
  const others = trace.fields.filter(([name]) => name !== label);
  return { ...trace, fields: value === undefined ? others : [...others, [label, value]] };
}

describe('explain', () => {
  test('a step that was never done is new', async () => {
    expect(await causes(undefined, run)).toEqual([{ kind: 'new' }]);
  });
  test('a step where nothing differs lost its result', async () => {
    expect(await causes(run, run)).toEqual([{ kind: 'not-kept' }]);
  });
  test('a step that was cached is not explained', async () => {
    expect(await causes(undefined, run, { state: 'cached' })).toEqual([]);
  });
  test('--no-cache is cause enough', async () => {
    expect(await causes(run, withField('cwd', '/x'), { cache: 'ignore' })).toEqual([{ kind: 'no-cache' }]);
  });
  test('a build arg, whatever its place among the variables', async () => {
    const now = withField('env 7 VERSION', '2', withField('env 1 VERSION', undefined));
    expect(await causes(run, now)).toEqual([
      { kind: 'variable', name: 'VERSION', of: 'build-arg', before: '1', after: '2' },
    ]);
  });
  test('variables that came and went', async () => {
    const now = withField('env 1 MODE', 'dev', withField('env 1 VERSION', undefined));
    expect(await causes(run, now)).toEqual([
      { kind: 'variable', name: 'MODE', of: 'env', after: 'dev' },
      { kind: 'variable', name: 'VERSION', of: 'build-arg', before: '1' },
    ]);
  });
  test('values that look secret are masked', async () => {
    const [before, after] = ['1', '2'].map((value) => withField('env 2 API_TOKEN', value));
    expect(await causes(before, after!)).toEqual([
      { kind: 'variable', name: 'API_TOKEN', of: 'env', before: '***', after: '***' },
    ]);
  });
  test('the command', async () => {
    const now = { ...withField('args', '["make","all"]'), text: 'RUN make all' };
    expect(await causes(run, now)).toEqual([{ kind: 'instruction', before: 'RUN make', after: 'RUN make all' }]);
  });
  test('another spelling of the same command is no cause', async () => {
    expect(await causes(run, { ...run, text: 'RUN  make' })).toEqual([{ kind: 'not-kept' }]);
  });
  test('other properties by name', async () => {
    expect(await causes(run, withField('cwd', '/src'))).toEqual([
      { kind: 'setting', name: 'cwd', before: '/', after: '/src' },
    ]);
  });
  test('the base image', async () => {
    expect(await causes(onImage(one), onImage(two))).toEqual([
      { kind: 'base-image', reference: 'alpine:3', before: one, after: two },
    ]);
  });
  test('a URL', async () => {
    expect(await causes(fromUrl('1'), fromUrl('2'))).toEqual([{ kind: 'remote', source: 'https://x/y' }]);
  });
  test('a step above, and the own reason first', async () => {
    const above = { kind: 'step', step: { stage: 'build', position: 0, text: 'COPY . .' }, key: 'k2' } as const;
    const now = { ...withField('cwd', '/src'), inputs: [above] };
    expect((await causes(run, now)).map(({ kind }) => kind)).toEqual(['setting', 'step']);
  });
  test('a step above that was cached after all is no reason where there is another', async () => {
    const input = { kind: 'step', step: { stage: 'build', position: 0, text: 'COPY . .' }, key: 'k2' } as const;
    const above: StepTrace = { stage: 'build', position: 0, text: 'COPY . .', fields: [], inputs: [] };
    const now = { ...withField('cwd', '/src'), inputs: [input] };
    const steps: TracedStep[] = [
      { name: 'above', trace: above, state: 'cached', cache: 'use' },
      { name: 'step', trace: now, state: 'ran', cache: 'use' },
    ];
    const ports = { buildArgs: new Set<string>(), lookupSelection: () => Promise.resolve(undefined) };
    const [explained] = await explainSteps(steps, [run], ports);
    expect(explained?.causes.map(({ kind }) => kind)).toEqual(['setting']);
  });
  test('files, and how each of them changed', async () => {
    expect(await causes(ofFiles(one), ofFiles(two))).toEqual([
      {
        kind: 'files',
        from: 'context',
        paths: ['src'],
        total: 2,
        changed: 3,
        changes: [
          { path: 'src/a', how: ['content'] },
          { path: 'src/b', how: ['mode'], before: '0644', after: '0600' },
          { path: 'src/gone', how: ['removed'] },
        ],
      },
    ]);
    expect(await causes(ofFiles(digestOf('forgotten')), ofFiles(two))).toEqual([
      { kind: 'files', from: 'context', paths: ['src'], changes: [] },
    ]);
  });
});

test('files: a new directory is told by what is in it', () => {
  const directory = { type: 'directory', mode: 0o755, content: '' };
  const before = { paths: ['/'], files: [file('', directory)] };
  const after = { paths: ['/'], files: [file('', directory), file('d', directory), file('d/e'), file('z', directory)] };
  expect(compareFiles(before, after)).toEqual([
    { path: 'd/e', how: ['added'] },
    { path: 'z', how: ['added'] },
  ]);
});

test('steps: are matched by text, then by kind, then in another stage', () => {
  const earlier = [
    stepName('a', 0, 'RUN x'),
    stepName('a', 1, 'RUN y'),
    stepName('a', 2, 'COPY 1'),
    stepName('b', 0, 'RUN z'),
  ];
  const now = [
    stepName('a', 0, 'RUN new'),
    stepName('a', 1, 'RUN x'),
    stepName('a', 2, 'RUN y'),
    stepName('a', 3, 'COPY 2'),
    stepName('c', 0, 'RUN z'),
  ];
  expect(matchSteps(now, earlier)).toEqual([undefined, earlier[0], earlier[1], earlier[2], earlier[3]]);
});

test.each([
  ['VERSION', '1.2.3', '1.2.3'],
  ['KEYBOARD', 'de', 'de'],
  ['MONKEY', 'x', 'x'],
  ['NPM_TOKEN', 'abc', '***'],
  ['DB_PASSWORD', 'x', '***'],
  ['SSH_KEY', 'x', '***'],
  ['URL', 'https://user:pass@host/', '***'],
  ['X', 'ghp_0123456789abcdefghijABCDEFGHIJ012345', '***'],
  ['COMMIT', '0123456789abcdef0123456789abcdef01234567', '0123456789abcdef0123456789abcdef01234567'],
  ['EMPTY_TOKEN', '', ''],
])('secrets: %s=%s is shown as %s', (variable, value, shown) => {
  expect(maskValue(variable, value)).toBe(shown);
});

test('traces: name all steps, their fields and inputs, and survive being stored', async () => {
  const build = new ScriptedBuild();
  const copy = build.copy([build.run('base'), build.context()], { base: 'input' });
  const solution = await build.solve(build.merge([copy, build.run('tool', [], { env: ['A=1'] })]));
  const traces = [...(await solution.traces()).values()];
  expect(traces.map(({ text, inputs }) => [text, inputs.map(({ kind }) => kind)])).toEqual([
    ['RUN base', []],
    ['COPY /', ['step', 'files']],
    ['RUN tool', []],
  ]);
  expect(traces[2]?.fields).toContainEqual(['env 0 A', '1']);
  expect(traces.map((trace) => decodeStepTrace(toStepRecord(trace, 7)))).toEqual(traces);
});
