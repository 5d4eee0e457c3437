import { describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run-cli.ts';
import type { Cause } from '../../src/core/explanation.ts';
import type { ExplainResult, PlanResult } from '../../src/store-handle.ts';
import { fakeApi, fakeIo, type FakeIo } from './fake-io.ts';

async function run(line: string, api: Parameters<typeof fakeApi>[0]): Promise<FakeIo> {
  const io = fakeIo();
  expect(await runCli(line.split(' '), io, fakeApi(api))).toBe(0);
  return io;
}

function explained(...causes: readonly Cause[]): ExplainResult {
  const step = { stage: '0', position: 0, text: 'RUN make' };
  return { total: 3, explanations: [{ name: '[1/3] RUN make', step, state: 'would-run', causes }] };
}

async function explain(...causes: readonly Cause[]): Promise<string> {
  return (await run('explain .', { explain: () => Promise.resolve(explained(...causes)) })).stdout.text;
}

describe('explain', () => {
  test.each<[Cause, string]>([
    [{ kind: 'new' }, '  new: no build of this Dockerfile has done it yet\n'],
    [{ kind: 'no-cache' }, '  --no-cache asks for it\n'],
    [
      { kind: 'instruction', before: 'RUN a', after: 'RUN b\nc' },
      '  the instruction changed\n  - RUN a\n  + RUN b …\n',
    ],
    [{ kind: 'variable', name: 'V', of: 'build-arg', before: '1', after: '2' }, '  ARG V: "1" → "2"\n'],
    [{ kind: 'variable', name: 'V', of: 'env', after: '2' }, '  ENV V: added, "2"\n'],
    [{ kind: 'variable', name: 'V', of: 'env', before: '***', after: '***' }, '  ENV V: another value (***)\n'],
    [{ kind: 'setting', name: 'cwd', before: '/' }, '  cwd: removed, was "/"\n'],
    [
      { kind: 'base-image', reference: 'a:1', before: `sha256:${'1'.repeat(64)}`, after: `sha256:${'2'.repeat(64)}` },
      '  base image a:1: sha256:111111111111 → sha256:222222222222\n',
    ],
    [
      { kind: 'files', from: 'context', paths: ['src'], changes: [] },
      '  src: files changed (which ones is not known any more)\n',
    ],
    [{ kind: 'step', step: { stage: '0', position: 0, text: 'COPY . .' } }, '  a step above: COPY . .\n'],
  ])('%j', async (cause, text) => {
    expect(await explain(cause)).toBe(`[1/3] RUN make would run\n${text}`);
  });

  test('files: the first ten, and a hint where a umask is to blame', async () => {
    const changes = Array.from({ length: 12 }, (_, i) => {
      return { path: `f${i}`, how: ['mode'] as const, before: '0664', after: '0644' };
    });
    const text = await explain({ kind: 'files', from: 'lib', paths: ['.'], total: 20, changed: 12, changes });
    expect(text).toContain('  lib: .: 12 of 20 files changed\n    f0: mode 0664 → 0644\n');
    expect(text).toContain('    f9: mode 0664 → 0644\n    and 2 more\n    only modes differ');
  });

  test('nothing to explain', async () => {
    const io = await run('explain .', { explain: () => Promise.resolve({ total: 3, explanations: [] }) });
    expect(io.stdout.text).toBe('all 3 steps are cached\n');
  });

  test('as JSON', async () => {
    const result = explained({ kind: 'new' });
    const io = await run('explain --format json --build-arg A=1 -t x .', { explain: () => Promise.resolve(result) });
    expect(JSON.parse(io.stdout.text)).toEqual(result);
  });
});

const planned: PlanResult = {
  steps: [
    { name: '[1/3] RUN a', stage: '0', platform: 'linux/amd64', state: 'cached', expectedMs: 5 },
    { name: '[2/3] RUN b', stage: '0', platform: 'linux/amd64', state: 'would-run', expectedMs: 1200 },
    { name: '[3/3] RUN c', stage: '0', platform: 'linux/amd64', state: 'may-run' },
  ],
  pullBytes: 1_000_000,
  totalMs: 1200,
  criticalPathMs: 1000,
  unknown: 1,
};

test('plan: steps, times and what is not known', async () => {
  expect((await run('plan .', { plan: () => Promise.resolve(planned) })).stdout.text).toBe(`STATE    EXPECTED   STEP
cached              [1/3] RUN a
run          1.2s   [2/3] RUN b
maybe           ?   [3/3] RUN c

2 of 3 steps would run; 1.2s of work, 1.0s at least; 1 never ran before; 1.00MB to fetch
`);
});
