import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ExplainResult, PlanResult } from '../../src/store-handle.ts';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, ranSteps, type Rig } from '../support/rig.ts';

const DOCKERFILE = `FROM busybox AS made
ARG VERSION=1
ARG API_TOKEN=none
COPY src /src
RUN sleep 0.3; cat /src/a > /out

FROM busybox
RUN sleep 0.1; echo own > /own
COPY --from=made /out /out
RUN cat /out > /copy
`;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e explain', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  async function ask<T>(rig: Rig, command: string, ...args: readonly string[]): Promise<T> {
    const { stdout } = await rig.succeed([
      command,
      '--format=json',
      ...registry.flags,
      ...args,
      join(rig.work, 'context'),
    ]);
    return JSON.parse(stdout) as T;
  }

  async function build(rig: Rig, ...args: readonly string[]): Promise<string> {
    return (await rig.succeed(['build', ...registry.flags, '-t', 'app', ...args, join(rig.work, 'context')])).stderr;
  }

  async function causes(rig: Rig, ...args: readonly string[]): Promise<readonly unknown[]> {
    const { explanations } = await ask<ExplainResult>(rig, 'explain', ...args);
    return explanations.map((each) => [each.step.text, each.state, ...each.causes.map((cause) => cause.kind)]);
  }

  it('explain: before the first build everything is new; nothing is run or fetched by asking', async () => {
    await using rig = await openProject();
    expect((await causes(rig)).every((cause) => Array.isArray(cause) && cause[2] === 'new')).toBe(true);
    const plan = await ask<PlanResult>(rig, 'plan');
    expect(plan).toMatchObject({ unknown: 5, totalMs: 0 });
    expect(plan.pullBytes).toBeGreaterThan(1000);
    expect(ranSteps(await build(rig, '--progress=rawjson'))).toHaveLength(5);
    expect(await causes(rig)).toEqual([]);
  });

  it('plan: what is cached, what would run, and how long that takes', async () => {
    await using rig = await openProject();
    await build(rig);
    expect(await ask<PlanResult>(rig, 'plan')).toMatchObject({
      totalMs: 0,
      criticalPathMs: 0,
      unknown: 0,
      pullBytes: 0,
    });
    await writeFile(join(rig.work, 'context/src/a'), 'changed\n');
    const plan = await ask<PlanResult>(rig, 'plan');
    expect(plan.steps.map(({ name, state }) => `${state}: ${name.replace(/^\[.*?\] /, '')}`)).toEqual([
      'would-run: COPY src /src',
      'would-run: RUN sleep 0.3; cat /src/a > /out',
      'cached: RUN sleep 0.1; echo own > /own',
      'may-run: COPY --from=made /out /out',
      'may-run: RUN cat /out > /copy',
    ]);
    expect(plan.totalMs).toBeGreaterThanOrEqual(300);
    expect(plan.criticalPathMs).toBeLessThanOrEqual(plan.totalMs);
    const ran = ranSteps(await build(rig, '--progress=rawjson'));
    expect(ran).toHaveLength(4);
  });

  it('explain: names the file, the argument, the command', async () => {
    await using rig = await openProject();
    await build(rig);
    await writeFile(join(rig.work, 'context/src/a'), 'changed\n');
    await chmod(join(rig.work, 'context/src/b'), 0o600);
    await writeFile(join(rig.work, 'context/src/new'), '');
    const { explanations } = await ask<ExplainResult>(rig, 'explain');
    expect(explanations[0]?.causes).toEqual([
      {
        kind: 'files',
        from: 'context',
        paths: ['src'],
        total: 3,
        changed: 3,
        changes: [
          { path: 'src/a', how: ['content'] },
          { path: 'src/b', how: ['mode'], before: '0644', after: '0600' },
          { path: 'src/new', how: ['added'] },
        ],
      },
    ]);
    expect(await causes(rig)).toEqual([
      ['COPY src /src', 'would-run', 'files'],
      ['RUN sleep 0.3; cat /src/a > /out', 'would-run', 'step'],
      ['COPY --from=made /out /out', 'may-run', 'step'],
      ['RUN cat /out > /copy', 'may-run', 'step'],
    ]);
    await build(rig);
    const given = ['--build-arg', 'VERSION=2', '--build-arg', 'API_TOKEN=hush'];
    const [first] = (await ask<ExplainResult>(rig, 'explain', ...given)).explanations;
    expect(first?.causes).toEqual([
      { kind: 'variable', name: 'VERSION', of: 'build-arg', before: '1', after: '2' },
      { kind: 'variable', name: 'API_TOKEN', of: 'build-arg', before: '***', after: '***' },
    ]);
    await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE.replace('echo own', 'echo other'));
    const [reworded] = (await ask<ExplainResult>(rig, 'explain')).explanations;
    expect(reworded?.causes).toMatchObject([{ kind: 'instruction', after: 'RUN sleep 0.1; echo other > /own' }]);
  });

  it('--explain: a build says why its steps ran', async () => {
    await using rig = await openProject();
    await build(rig);
    await writeFile(join(rig.work, 'context/src/b'), 'changed\n');
    const said = await build(rig, '--explain', '--progress=plain');
    expect(said).toContain('COPY src /src ran\n  src: 1 of 2 files changed\n    src/b: content\n');
    // What the stage gives is the same as before, so nothing that takes from it ran.
    expect(said).not.toContain('COPY --from=made /out /out ran');
    expect(await build(rig, '--explain', '--progress=plain')).not.toContain(' ran\n  ');
  });
});

async function openProject(): Promise<Rig & AsyncDisposable> {
  const rig = await openRig();
  await mkdir(join(rig.work, 'context/src'), { recursive: true });
  await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE);
  await writeFile(join(rig.work, 'context/src/a'), 'a\n');
  await writeFile(join(rig.work, 'context/src/b'), 'b\n');
  return rig;
}
