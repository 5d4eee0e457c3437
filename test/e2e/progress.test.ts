import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tsbuildPath } from '../support/build-dist.ts';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig, stepsOf } from '../support/rig.ts';
import { openTerminal } from '../support/terminal.ts';

const DOCKERFILE = `FROM busybox AS left
RUN echo "left says hello"; [ ! -e /wait ] || sleep 1000
FROM busybox
RUN echo out; echo err >&2; printf 'no end of line'
COPY --from=left /bin/busybox /copied
LABEL a=b
`;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox', 'tmux'], 'e2e progress', () => {
  let registry: BusyboxRegistry;
  let rig: Rig & AsyncDisposable;
  let context: string;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
    rig = await openRig();
    context = join(rig.work, 'context');
    await mkdir(context);
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
  });
  afterAll(async () => {
    await rig[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const build = (...args: readonly string[]): ReturnType<Rig['succeed']> =>
    rig.succeed(['build', '--no-cache', '-t', 'shown:v1', ...registry.flags, ...args, context]);

  it('progress plain: a line says whose it is, standard output stays empty', async () => {
    const { stdout, stderr } = await build('--progress=plain');
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^#\d+ \[left 2\/2\] RUN echo "left says hello"/m);
    const number = /^#(\d+) \[.*RUN echo out/m.exec(stderr)?.[1];
    for (const text of ['out', 'err', 'no end of line'])
      expect(stderr).toMatch(new RegExp(`^#${number} \\d+\\.\\d{3} ${text}$`, 'm'));
    expect(stderr).toMatch(new RegExp(`^#${number} DONE \\d+\\.\\ds$`, 'm'));
    expect(stderr).toContain('shown:v1');
    expect(stderr).not.toContain('\u001B');
  });

  it('progress plain: says what was cached', async () => {
    await build('--progress=plain');
    const { stderr } = await rig.succeed(['build', '--progress=plain', ...registry.flags, context]);
    expect(stderr.match(/^#\d+ CACHED$/gm)).toHaveLength(4);
    expect(stderr).not.toContain('left says hello\n#');
  });

  it('progress auto: is plain where there is no terminal', async () => {
    expect((await build()).stderr).toMatch(/^#\d+ DONE/m);
  });

  it('progress rawjson: every step starts, ends and has its output', async () => {
    const { stdout, stderr } = await build('--progress=rawjson');
    expect(stdout).toBe('');
    for (const line of stderr.trim().split('\n')) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    const steps = stepsOf(stderr);
    for (const step of steps) {
      expect(step, step.name).toMatchObject({
        startedMs: expect.any(Number) as number,
        completedMs: expect.any(Number) as number,
      });
    }
    // Standard output and standard error are two pipes: nobody knows the order between them.
    const output = steps.find(({ name }) => name.includes('echo out'))?.output;
    expect(output?.replace('err\n', '')).toBe('out\nno end of line');
    expect(output).toContain('err\n');
    expect(steps.find(({ name }) => name.includes('COPY'))?.cached).toBe(false);
  });

  it('progress quiet: prints the image ID and nothing else', async () => {
    for (const flag of ['-q', '--progress=quiet']) {
      const { stdout, stderr } = await build(flag);
      expect(stdout, flag).toMatch(/^sha256:[0-9a-f]{64}\n$/);
      expect(stderr, flag).toBe('');
    }
  });

  it('progress tty: shows running steps with their last lines, and at the end what was built', async () => {
    await using terminal = await openTerminal({ columns: 100, rows: 30 });
    const command = [
      process.execPath,
      tsbuildPath,
      '--store',
      rig.store,
      'build',
      '--no-cache',
      '-t',
      'shown:v1',
      ...registry.flags,
    ];
    const waiting = ['--target', 'slow', '-f', join(context, 'slow.Dockerfile'), context];
    await writeFile(
      join(context, 'slow.Dockerfile'),
      'FROM busybox AS slow\nRUN echo a line of output; echo the last line; sleep 1000\n',
    );
    await terminal.type([...command, ...waiting].map((word) => `'${word}'`).join(' '));
    await expect.poll(() => terminal.screen(), { timeout: 20_000 }).toMatch(/RUN echo a line of output/);
    await expect.poll(() => terminal.screen(), { timeout: 20_000 }).toMatch(/^.*the last line\s*$/m);
    await terminal.press('C-c');
    await expect.poll(() => terminal.screen(), { timeout: 20_000 }).toMatch(/STATUS=130/);
    await terminal.type([...command, context].map((word) => `'${word}'`).join(' '));
    await expect.poll(() => terminal.screen(), { timeout: 20_000 }).toMatch(/shown:v1[\s\S]*STATUS=0/);
  });
});
