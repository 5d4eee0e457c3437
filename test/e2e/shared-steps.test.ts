import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import type { Person } from '../support/person.ts';
import { builtDigest, openRig, ranSteps, type Rig } from '../support/rig.ts';

/** Two stages that can run beside each other; every RUN leaves a trace of its own in a cache mount. */
const DOCKERFILE = `FROM busybox AS one
COPY source /source
RUN --mount=type=cache,target=/log sleep 0.3; echo one >> /log/one; cat /source > /one
RUN --mount=type=cache,target=/log sleep 0.1; echo two >> /log/two; rm /source
FROM busybox AS other
RUN --mount=type=cache,target=/log sleep 0.3; echo other >> /log/other; echo other > /other
FROM busybox
WORKDIR /app
COPY --from=one /one .
COPY --from=other /other .
RUN --mount=type=cache,target=/log sleep 0.1; echo last >> /log/last; cat one other > both
`;
const STEPS = 8;
const RUNS = ['last', 'one', 'other', 'two'];
const PROCESSES = 6;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox', 'setpriv', 'newuidmap'], 'e2e shared steps', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  function args(rig: Rig, process: number): readonly string[] {
    const dated = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--progress=rawjson'];
    const metadata = ['--metadata-file', join(rig.work, `metadata-${process}.json`)];
    return ['build', ...registry.flags, ...dated, ...metadata, '-t', `app:${process}`, join(rig.work, 'context')];
  }

  /** How often each RUN of the Dockerfile was done, by what it wrote to the cache mount. */
  async function traces(rig: Rig): Promise<Readonly<Record<string, number>>> {
    const name = 'RUN --mount=type=cache,target=/log for i in /log/*; do echo "$(basename $i)=$(wc -l < $i)"; done';
    await writeFile(join(rig.work, 'Dockerfile.read'), `FROM busybox\n${name}; cp /log/* /\n`);
    const { stderr } = await rig.succeed([
      'build',
      ...registry.flags,
      '--progress=plain',
      '-f',
      join(rig.work, 'Dockerfile.read'),
      '-o',
      'type=cacheonly',
      join(rig.work, 'context'),
    ]);
    return Object.fromEntries(
      [...stderr.matchAll(/ (\w+)=(\d+)$/gm)].map(([, run = '', count = '']) => [run, Number(count)]),
    );
  }

  it.each(['root', 'user'] as const)(
    'shared steps: six builds at once run each step once and make the same image: %s',
    async (person) => {
      await using rig = await openProject(person);
      const processes = Array.from({ length: PROCESSES }, (_, index) => index);
      const results = await Promise.all(processes.map((index) => rig.succeed(args(rig, index))));
      const ran = results.flatMap(({ stderr }) => ranSteps(stderr));
      expect(ran.toSorted()).toEqual([...new Set(ran)].toSorted());
      expect(ran).toHaveLength(STEPS);
      expect(await traces(rig)).toEqual(Object.fromEntries(RUNS.map((run) => [run, 1])));
      const digests = await Promise.all(
        processes.map((index) => builtDigest(join(rig.work, `metadata-${index}.json`))),
      );
      expect(new Set(digests).size).toBe(1);
      expect(await readdir(join(rig.store, 'locks/steps'))).toEqual([]);
      await rig.succeed(['verify-store']);
    },
  );

  it('shared steps: three of six killed, the others take over and make the same image', async () => {
    await using rig = await openProject();
    const seen = new Set<number>();
    const doomed = [0, 1, 2].map((index) => {
      const program = rig.start(args(rig, index), {
        onStderr: (text) => {
          if (text.includes('"started"')) seen.add(index);
          // In the middle of steps that others wait for.
          if (seen.size > 0) setTimeout(() => program.kill('SIGKILL'), 100 + 120 * index);
        },
      });
      return program;
    });
    const living = await Promise.all([3, 4, 5].map((index) => rig.run(args(rig, index))));
    await Promise.all(doomed.map(({ ended }) => ended));
    for (const { status, stderr } of living) expect(status, stderr).toBe(0);
    const digests = await Promise.all([3, 4, 5].map((index) => builtDigest(join(rig.work, `metadata-${index}.json`))));
    expect(new Set(digests).size).toBe(1);
    await rig.succeed(args(rig, 6));
    expect(await builtDigest(join(rig.work, 'metadata-6.json'))).toBe(digests[0]);
    await rig.succeed(['verify-store']);
  });
});

async function openProject(person: Person = 'root'): Promise<Rig & AsyncDisposable> {
  const rig = await openRig({ person });
  await mkdir(join(rig.work, 'context'));
  await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE);
  await writeFile(join(rig.work, 'context/source'), 'source\n');
  return rig;
}
