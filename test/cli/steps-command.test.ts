import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it, test } from 'vitest';
import { runCli } from '../../src/cli/run-cli.ts';
import type { RunningStep } from '../../src/core/running-steps.ts';
import type { StoreHandle } from '../../src/store-handle.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import type { ProgramResult } from '../support/run-program.ts';
import { fakeApi, fakeIo } from './fake-io.ts';

const nowMs = fakeIo().now();
const steps: readonly RunningStep[] = [
  { id: '0a1b2c3d4e5f', pid: 71, command: '/bin/sh -c make', startedMs: nowMs - 65_000, state: 'frozen', cpuMs: 1500 },
  { id: 'ffeeddccbbaa', pid: 4711, command: 'sh -c \u001B[2Jset -e\nmake', startedMs: nowMs - 500, state: 'unknown' },
];

async function run(line: string, handle: Partial<StoreHandle>): Promise<{ status: number; out: string; err: string }> {
  const io = fakeIo();
  const status = await runCli(line.split(' '), io, fakeApi({ handle }));
  return { status, out: io.stdout.text, err: io.stderr.text };
}

test('steps: a table for people, JSON for programs', async () => {
  const handle = { runningSteps: () => Promise.resolve(steps) };
  expect((await run('steps', handle)).out).toBe(
    [
      'ID              PID   STATE       AGE    CPU   MEMORY   COMMAND',
      '0a1b2c3d4e5f     71   frozen    1m05s   1.5s        -   /bin/sh -c make',
      'ffeeddccbbaa   4711   unknown    0.5s      -        -   sh -c set -e…',
      '',
    ].join('\n'),
  );
  expect(JSON.parse((await run('steps ls --format json', handle)).out)).toEqual(steps);
});
test('steps: what is done is said with the whole id', async () => {
  const handle = { controlStep: (id: string, what: string) => Promise.resolve(`${id}-whole-${what}`) };
  expect((await run('steps freeze 0a ff', handle)).out).toBe('Frozen 0a-whole-freeze\nFrozen ff-whole-freeze\n');
});
test.each(['steps freeze', 'steps stop 0a'])('%s: usage', async (line) => {
  const { status, err } = await run(line, {});
  expect(status).toBe(2);
  expect(err).toContain('usage: tsbuild steps ls | freeze ID… | thaw ID… | kill ID…');
});

/** Starts a build whose only step runs until it is ended; gives the step's id. */
async function startEndless(rig: Rig): Promise<{ id: string; pid: number; ended: Promise<ProgramResult> }> {
  const context = join(rig.work, 'context');
  await mkdir(context);
  await copyFile('/usr/bin/busybox', join(context, 'busybox'));
  const lines = ['FROM scratch', 'COPY busybox /bin/sh', 'RUN echo u""p; while :; do i=1; done'];
  await writeFile(join(context, 'Dockerfile'), lines.join('\n'));
  const up = Promise.withResolvers<void>();
  let seen = '';
  const { pid, ended } = rig.start(['build', '--progress=plain', context], {
    onStderr: (text) => {
      seen += text;
      if (/\bup\n/.test(seen)) up.resolve();
    },
  });
  const early = ended.then(({ stderr }) => Promise.reject(new Error(`the build ended: ${stderr}`)));
  await Promise.race([up.promise, early]);
  early.catch(() => undefined);
  return { id: (await list(rig))[0]?.id ?? '', pid, ended };
}

async function list(rig: Rig): Promise<readonly RunningStep[]> {
  return JSON.parse((await rig.succeed(['steps', 'ls', '--format', 'json'])).stdout) as readonly RunningStep[];
}

describeWith(['root', 'overlay', 'busybox'], 'steps of a running build', () => {
  beforeAll(buildDist);
  it('are listed with what they use, frozen, thawed and killed by another process', async () => {
    await using rig = await openRig();
    expect(await list(rig)).toEqual([]);
    const { id, pid, ended } = await startEndless(rig);
    const [step] = await list(rig);
    expect(step).toMatchObject({ id, pid, state: 'running', command: expect.stringContaining('while') as string });
    expect(step?.cpuMs).toBeGreaterThan(0);
    expect(step?.memoryBytes).toBeGreaterThan(0);
    expect((await rig.succeed(['steps', 'freeze', id.slice(0, 4)])).stdout).toBe(`Frozen ${id}\n`);
    const [frozen] = await list(rig);
    expect(await list(rig)).toMatchObject([{ state: 'frozen', cpuMs: frozen?.cpuMs }]);
    await rig.succeed(['steps', 'thaw', id]);
    expect(await list(rig)).toMatchObject([{ state: 'running' }]);
    await rig.succeed(['steps', 'freeze', id]);
    await rig.succeed(['steps', 'kill', id]);
    const { status, stderr } = await ended;
    expect(status).toBe(1);
    expect(stderr).toContain('SIGKILL');
    expect(await list(rig)).toEqual([]);
    expect(await rig.run(['steps', 'kill', id])).toMatchObject({ status: 2 });
  });
  it('end with their build even while they are frozen', async () => {
    await using rig = await openRig();
    const { id, pid, ended } = await startEndless(rig);
    await rig.succeed(['steps', 'freeze', id]);
    process.kill(pid, 'SIGINT');
    expect((await ended).status).toBe(130);
  });
  it('of a build that was killed are not listed', async () => {
    await using rig = await openRig();
    const { id, pid, ended } = await startEndless(rig);
    await rig.succeed(['steps', 'freeze', id]);
    process.kill(pid, 'SIGKILL');
    await ended;
    expect(await list(rig)).toEqual([]);
    // The next build sweeps up.
    await rig.succeed(['build', '--file', '-', join(rig.work, 'context')], {
      stdin: 'FROM scratch\nCOPY busybox /x\n',
    });
  });
});

describeWith(['root', 'overlay', 'busybox'], 'steps of a running build without cgroups', () => {
  beforeAll(buildDist);
  it('are listed; to freeze one is refused with the way out', async () => {
    await using rig = await openRig({ person: 'lone-user' });
    const { id, pid, ended } = await startEndless(rig);
    expect(await list(rig)).toMatchObject([{ id, pid, state: 'unknown' }]);
    const { status, stderr } = await rig.run(['steps', 'freeze', id]);
    expect(status).toBe(1);
    expect(stderr).toContain('freeze of a step is not available here: the step has no cgroup of its own');
    expect(stderr).toContain('systemd-run --user --scope');
    process.kill(pid, 'SIGINT');
    expect((await ended).status).toBe(130);
  });
});
