import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import type { Person } from '../support/person.ts';
import { builtDigest, openRig, type Rig } from '../support/rig.ts';
import type { ProgramResult, StartedProgram } from '../support/run-program.ts';

/** Each step says when it has begun; the one in the middle would run for ever. */
const DOCKERFILE = `FROM busybox AS other
RUN echo step-other; mkdir /big && for i in $(seq 300); do echo $i > /big/$i; done
FROM busybox
COPY many /many
RUN echo step-first; find /many | wc -l > /count
COPY --from=other /big /big
ARG WAIT=0
RUN echo step-waiting; (sleep $WAIT &) ; sleep $WAIT
RUN echo step-last; sync
`;

/** Where a build is killed: as soon as it has printed this. */
const MOMENTS = ['step-first', 'step-other', 'COPY --from=other', 'step-waiting', 'step-last', 'exporting'];

describeWith(['root', 'skopeo', 'docker-registry', 'busybox', 'setpriv', 'newuidmap'], 'e2e killed', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  function args(rig: Rig, wait: number): readonly string[] {
    const dated = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--build-arg', `WAIT=${wait}`];
    const output = ['-o', `type=oci,rewrite-timestamp=true,dest=${join(rig.work, 'out.tar')}`];
    const rest = [
      '--progress=plain',
      '--metadata-file',
      join(rig.work, 'metadata.json'),
      ...registry.flags,
      ...dated,
      ...output,
    ];
    return ['build', ...rest, join(rig.work, 'context')];
  }

  /** Sends `signal` as soon as the build has printed `moment`; one that is quicker ends by itself. */
  async function stopAt(rig: Rig, o: { moment: string; signal: NodeJS.Signals; wait: number }): Promise<ProgramResult> {
    let printed = '';
    let sent = false;
    const look = (text: string): void => {
      printed += text;
      if (sent || !printed.includes(o.moment)) return;
      sent = true;
      program.kill(o.signal);
    };
    const program: StartedProgram = rig.start(args(rig, o.wait), { onStderr: look });
    return program.ended;
  }

  let reference: string | undefined;
  async function expectSameBuild(rig: Rig): Promise<void> {
    await rig.succeed(args(rig, 0));
    const digest = await builtDigest(join(rig.work, 'metadata.json'));
    reference ??= digest;
    expect(digest).toBe(reference);
  }

  it('killed: a build that nobody disturbs', async () => {
    await using rig = await openProject();
    await expectSameBuild(rig);
  });

  it.each([
    ...MOMENTS.map((moment) => [moment, 'root'] as const),
    ['step-waiting', 'user'],
    ['exporting', 'user'],
  ] as const)('killed: SIGKILL at %s leaves nothing, and the next build succeeds: %s', async (moment, person) => {
    await using rig = await openProject(person);
    await stopAt(rig, { moment, signal: 'SIGKILL', wait: moment === 'step-waiting' ? 1000 : 0 });
    // The kernel takes down what a dead process owned a moment after its death is reported.
    await expect
      .poll(async () => (await rig.leaks()).filter((leak) => !leak.startsWith('file ') && !leak.startsWith('cgroup ')))
      .toEqual([]);
    await expectSameBuild(rig);
  });

  it.each([
    ['SIGINT', 'root'],
    ['SIGTERM', 'root'],
    ['SIGINT', 'user'],
  ] as const)('killed: %s stops a step at once and cleans up (trap 40): %s', async (signal, person) => {
    await using rig = await openProject(person);
    let startMs = 0;
    const program: StartedProgram = rig.start(args(rig, 1000), {
      onStderr: (text) => {
        if (startMs > 0 || !text.includes('step-waiting')) return;
        startMs = performance.now();
        program.kill(signal);
      },
    });
    const { status } = await program.ended;
    expect(performance.now() - startMs).toBeLessThan(3000);
    expect(status).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(await rig.leaks()).toEqual([]);
    await expectSameBuild(rig);
  });

  it('killed: two builds of one store at the same time, one killed, the other succeeds', async () => {
    await using rig = await openProject();
    const dying = stopAt(rig, { moment: 'step-first', signal: 'SIGKILL', wait: 0 });
    const living = rig.run([
      'build',
      ...registry.flags,
      '--build-arg',
      'WAIT=0',
      '-t',
      'living',
      join(rig.work, 'context'),
    ]);
    const [, { status, stderr }] = await Promise.all([dying, living]);
    expect(status, stderr).toBe(0);
    await expectSameBuild(rig);
  });
});

async function openProject(person: Person = 'root'): Promise<Rig & AsyncDisposable> {
  const rig = await openRig({ person });
  await mkdir(join(rig.work, 'context/many'), { recursive: true });
  await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE);
  for (let i = 0; i < 300; i += 1) await writeFile(join(rig.work, `context/many/${i}`), 'x'.repeat(i));
  return rig;
}
