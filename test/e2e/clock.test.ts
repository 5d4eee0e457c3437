import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { builtDigest, openRig, ranSteps, type Rig, stepsOf } from '../support/rig.ts';

const DOCKERFILE = `FROM busybox AS made
WORKDIR /made/here
COPY --chmod=755 <<'EOF' run.sh
#!/bin/sh
echo made > /made/here/file
EOF
RUN ./run.sh && ln file hard && ln -s file soft && mkdir -p deep/er

FROM busybox
COPY --from=made /made /made
COPY --link d /linked/
ADD d/x /added
RUN rm /added && touch -d @1000 /old && touch /new && echo "$TZ" > /zone
HEALTHCHECK --interval=90m CMD true
`;
const YEARS = 365 * 24 * 3600 * 1000;

/** The time of day, as a process is told it. */
interface Clock {
  readonly shiftMs: number;
  readonly zone: string;
  readonly locale: string;
}
const CLOCKS: readonly Clock[] = [
  { shiftMs: 0, zone: 'UTC', locale: 'C' },
  { shiftMs: 11 * YEARS, zone: 'Pacific/Auckland', locale: 'C.UTF-8' },
  { shiftMs: -7 * YEARS, zone: 'America/St_Johns', locale: 'tr_TR.UTF-8' },
];

async function writeContext(rig: Rig, fileTime: number): Promise<void> {
  await mkdir(join(rig.work, 'context/d'), { recursive: true });
  await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE);
  await writeFile(join(rig.work, 'context/d/x'), 'x\n');
  await utimes(join(rig.work, 'context/d/x'), fileTime, fileTime);
}

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e clock', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  async function build(
    rig: Rig,
    clock: Clock,
    args: readonly string[] = [],
  ): Promise<{ readonly digest: string; readonly ran: readonly string[] }> {
    const metadata = join(rig.work, 'metadata.json');
    const preload = `--import=${join(import.meta.dirname, 'fixtures/shifted-clock.ts')}`;
    const { stderr } = await rig.succeed(
      [
        'build',
        '--progress=rawjson',
        '--metadata-file',
        metadata,
        ...registry.flags,
        ...args,
        join(rig.work, 'context'),
      ],
      {
        env: {
          NODE_OPTIONS: preload,
          CLOCK_SHIFT_MS: String(clock.shiftMs),
          TZ: clock.zone,
          LC_ALL: clock.locale,
        },
      },
    );
    const startedMs = stepsOf(stderr).find((step) => step.startedMs !== undefined)?.startedMs ?? Number.NaN;
    expect(Math.abs(Math.round((startedMs - Date.now() - clock.shiftMs) / YEARS)), 'the clock that the build saw').toBe(
      0,
    );
    return { digest: await builtDigest(metadata), ran: ranSteps(stderr) };
  }

  it('clock: with SOURCE_DATE_EPOCH another time, zone and locale give the same image from nothing', async () => {
    const digests: string[] = [];
    for (const [index, clock] of CLOCKS.entries()) {
      await using rig = await openRig();
      await writeContext(rig, 1_600_000_000 + index * 1000);
      const output = `type=oci,rewrite-timestamp=true,dest=${join(rig.work, 'out.tar')}`;
      const { digest } = await build(rig, clock, ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', output]);
      digests.push(digest);
    }
    expect(new Set(digests)).toEqual(new Set([digests[0]]));
  });

  it('clock: no cache key depends on it, and a clock that was set back or forth runs nothing anew', async () => {
    await using rig = await openRig();
    await writeContext(rig, 1_600_000_000);
    const [first, ...others] = CLOCKS as [Clock, ...Clock[]];
    const built = await build(rig, first, ['-t', 'app']);
    expect(built.ran).toHaveLength(7);
    for (const clock of [...others, first]) {
      await writeContext(rig, 1_500_000_000 + clock.shiftMs / 1000);
      expect(await build(rig, clock, ['-t', 'app'])).toEqual({ digest: built.digest, ran: [] });
    }
  });
});
