import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CacheMountRow } from '../../src/store-handle.ts';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import type { ProgramOptions, StartedProgram } from '../support/run-program.ts';

/** The step ends when a file appears in the cache mount; COMMAND tells steps apart. */
const DOCKERFILE = `FROM busybox
RUN --mount=type=cache,id=gate,target=/gate --mount=type=cache,id=cache,target=/cache,sharing=SHARING \\
    echo step-begun; until [ -e /gate/open ]; do sleep 0.05; done; : COMMAND
`;

/** Long enough for a machine that does other things too. */
const PATIENCE = { timeout: 30_000 };

/** A program and what it has printed so far. */
interface Watched {
  readonly program: StartedProgram;
  readonly printed: () => string;
}

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e waiting', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  function start(rig: Rig, name: string, o: { progress: string }): Watched {
    let printed = '';
    const options: ProgramOptions = { onStderr: (text) => (printed += text) };
    const file = ['-f', join(rig.work, `context/Dockerfile.${name}`), '-o', 'type=cacheonly'];
    const args = ['build', `--progress=${o.progress}`, ...registry.flags, ...file, join(rig.work, 'context')];
    return { program: rig.start(args, options), printed: () => printed };
  }

  it.each(['plain', 'rawjson'])('waiting: for the same step of another process, as %s', async (progress) => {
    await using rig = await openProject('shared');
    const first = start(rig, 'one', { progress: 'plain' });
    await expect.poll(first.printed, PATIENCE).toMatch(/^#\d+ \d\.\d+ step-begun$/m);
    const second = start(rig, 'one', { progress });
    const said = `waiting for process ${first.program.pid}, which runs the same step`;
    await expect.poll(second.printed, PATIENCE).toContain(said);
    await openGate(rig);
    expect((await first.program.ended).status).toBe(0);
    const { status, stderr } = await second.program.ended;
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(
      progress === 'plain'
        ? new RegExp(`^#\\d+ ${said} \\d+\\.\\ds done\\n#\\d+ CACHED$`, 'm')
        : new RegExp(`"id":"${said}",[^}]*"completed":`),
    );
  });

  it('waiting: for a locked cache mount of another process', async () => {
    await using rig = await openProject('locked');
    const first = start(rig, 'one', { progress: 'plain' });
    await expect.poll(first.printed, PATIENCE).toContain(' step-begun\n');
    const second = start(rig, 'two', { progress: 'plain' });
    const said = `waiting for process ${first.program.pid}, which uses the cache mount cache`;
    await expect.poll(second.printed, PATIENCE).toContain(`${said}\n`);
    await openGate(rig);
    for (const { program } of [first, second]) expect((await program.ended).status).toBe(0);
    expect(second.printed()).toMatch(new RegExp(`^#\\d+ ${said} \\d+\\.\\ds done$`, 'm'));
  });
});

async function openProject(sharing: string): Promise<Rig & AsyncDisposable> {
  const rig = await openRig();
  await mkdir(join(rig.work, 'context'));
  for (const name of ['one', 'two']) {
    const text = DOCKERFILE.replace('sharing=SHARING', `sharing=${sharing}`).replace(': COMMAND', `: ${name}`);
    await writeFile(join(rig.work, `context/Dockerfile.${name}`), text);
  }
  return rig;
}

async function openGate(rig: Rig): Promise<void> {
  const { stdout } = await rig.succeed(['cache', 'mounts', 'ls', '--format=json']);
  const gate = (JSON.parse(stdout) as readonly CacheMountRow[]).find(({ id }) => id === 'gate');
  await writeFile(join(gate!.path, 'open'), '');
}
