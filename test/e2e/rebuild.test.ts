import { chmod, cp, mkdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { builtDigest, openRig, ranSteps, type Rig } from '../support/rig.ts';
import { checkProgram, type ProgramOptions, runProgram } from '../support/run-program.ts';

const DOCKERFILE = `FROM busybox AS made
COPY source.txt /source.txt
RUN tr a-z A-Z < /source.txt > /upper.txt

FROM busybox
WORKDIR /app
COPY --from=made /upper.txt .
COPY other ./other
RUN ls -R > /list
CMD ["cat", "/app/upper.txt"]
`;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e rebuild', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  interface Built {
    readonly digest: string;
    readonly ran: readonly string[];
  }

  async function build(
    rig: Rig,
    o: ProgramOptions & { context?: string; args?: readonly string[] } = {},
  ): Promise<Built> {
    const metadata = join(rig.work, 'metadata.json');
    const context = o.context ?? join(rig.work, 'context');
    const args = ['--progress=rawjson', '--metadata-file', metadata, '-t', 'app', ...registry.flags, ...(o.args ?? [])];
    const { stderr } = await rig.succeed(['build', ...args, context], o);
    return { digest: await builtDigest(metadata), ran: ranSteps(stderr) };
  }

  async function openProject(): Promise<{ rig: Rig & AsyncDisposable; context: string; first: Built }> {
    const rig = await openRig();
    const context = join(rig.work, 'context');
    await mkdir(join(context, 'other/folder'), { recursive: true });
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(context, '.dockerignore'), 'ignored*\n');
    await writeFile(join(context, 'source.txt'), 'source\n');
    await writeFile(join(context, 'other/folder/file'), 'file\n');
    const first = await build(rig);
    expect(first.ran).toHaveLength(6);
    return { rig, context, first };
  }

  async function check(
    change: (context: string, rig: Rig) => Promise<(ProgramOptions & { context?: string }) | void>,
  ): Promise<void> {
    const { rig, context, first } = await openProject();
    await using _ = rig;
    const o = (await change(context, rig)) ?? {};
    const second = await build(rig, o);
    expect(second.ran).toEqual([]);
    expect(second.digest).toBe(first.digest);
  }

  it('rebuild: nothing changed, nothing runs and the digest is the same', () => check(async () => undefined));

  it('rebuild: times of files do not count (trap 13)', () =>
    check(async (context) => {
      for (const path of ['source.txt', 'other', 'other/folder', 'other/folder/file', 'Dockerfile']) {
        await utimes(join(context, path), 1_000_000_000, 1_000_000_000);
      }
    }));

  it('rebuild: comments and white space do not count', () =>
    check(async (context) => {
      const edited = DOCKERFILE.replace('FROM busybox AS made', '# which base\nfrom  busybox  as made').replaceAll(
        'COPY ',
        'COPY   ',
      );
      await writeFile(join(context, 'Dockerfile'), `# edited\n\n${edited}\n# the end\n`);
    }));

  it('rebuild: an ignored file does not count', () =>
    check((context) => writeFile(join(context, 'ignored.txt'), 'new\n')));

  it('rebuild: a file that no instruction takes does not count', () =>
    check((context) => writeFile(join(context, 'unused.txt'), 'new\n')));

  it('rebuild: the directory, its inodes and the working directory do not count', () =>
    check(async (context, rig) => {
      const moved = join(rig.work, 'elsewhere/deep');
      await cp(context, moved, { recursive: true });
      await rename(context, join(rig.work, 'gone'));
      return { context: '.', cwd: moved };
    }));

  it('rebuild: time zone, locale and home do not count', () =>
    check(async (_, rig) => ({
      env: { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8', HOME: rig.work },
    })));

  it('rebuild: --no-cache runs everything', async () => {
    const { rig } = await openProject();
    await using _ = rig;
    expect((await build(rig, { args: ['--no-cache'] })).ran).toHaveLength(6);
  });

  it('rebuild: a changed file runs what depends on it and no more', async () => {
    const { rig, context, first } = await openProject();
    await using _ = rig;
    await writeFile(join(context, 'other/folder/file'), 'changed\n');
    const second = await build(rig);
    expect(second.ran.map((name) => name.split(' ')[0])).toEqual(['COPY', 'RUN']);
    expect(second.digest).not.toBe(first.digest);
    await writeFile(join(context, 'other/folder/file'), 'file\n');
    expect(await build(rig)).toEqual({ digest: first.digest, ran: [] });
  });

  it('rebuild: a step that gives the same files again stops the change there', async () => {
    const { rig, context } = await openProject();
    await using _ = rig;
    await writeFile(join(context, 'source.txt'), 'SOURCE\n');
    const { ran } = await build(rig);
    expect(ran.map((name) => name.split(' ').slice(0, 2).join(' '))).toEqual(['COPY source.txt', 'RUN tr']);
  });

  it('rebuild: a changed mode is a change (trap 13)', async () => {
    const { rig, context } = await openProject();
    await using _ = rig;
    await chmod(join(context, 'other/folder/file'), 0o600);
    expect((await build(rig)).ran.map((name) => name.split(' ')[0])).toEqual(['COPY', 'RUN']);
  });

  it('rebuild: a file of another name is a change, though its content is the same', async () => {
    const { rig, context } = await openProject();
    await using _ = rig;
    await rename(join(context, 'other/folder/file'), join(context, 'other/folder/renamed'));
    expect((await build(rig)).ran.map((name) => name.split(' ')[0])).toEqual(['COPY', 'RUN']);
  });

  it('rebuild: the value of a secret does not count, and the store holds none (trap 31)', async () => {
    const { rig, context } = await openProject();
    await using _ = rig;
    const text = 'FROM busybox\nRUN --mount=type=secret,id=token,env=TOKEN echo "token $TOKEN" && echo done > /done\n';
    await writeFile(join(context, 'Dockerfile'), text);
    const withToken = (value: string): Promise<Built> =>
      build(rig, { args: ['--secret', 'id=token,env=TOKEN'], env: { TOKEN: value } });
    const first = await withToken('s3cr3t-of-the-first-build');
    expect(first.ran).toHaveLength(1);
    expect(await withToken('another-s3cr3t')).toEqual({ digest: first.digest, ran: [] });
    const search = await runProgram('grep', ['--recursive', '--files-with-matches', 's3cr3t', rig.store]);
    expect(search.stdout).toBe('');
  });

  it('rebuild: a build argument changes only the steps behind it', async () => {
    const { rig, context } = await openProject();
    await using _ = rig;
    const text = DOCKERFILE.replace('RUN ls -R', 'ARG LAST=1\nRUN echo $LAST && ls -R');
    await writeFile(join(context, 'Dockerfile'), text);
    expect((await build(rig)).ran).toHaveLength(1);
    expect((await build(rig, { args: ['--build-arg', 'LAST=2'] })).ran).toHaveLength(1);
    expect((await build(rig, { args: ['--build-arg', 'LAST=1'] })).ran).toEqual([]);
  });

  it('rebuild: another store and umask give the same layers with SOURCE_DATE_EPOCH', async () => {
    const digests: string[] = [];
    for (const mask of ['022', '077']) {
      await using rig = await openRig();
      const context = join(rig.work, 'context');
      await mkdir(context);
      await checkProgram(
        'sh',
        [
          '-c',
          'umask 022; mkdir d && echo x > d/x && printf "FROM busybox\\nCOPY d /d\\nRUN echo y > /y\\n" > Dockerfile',
        ],
        {
          cwd: context,
        },
      );
      const metadata = join(rig.work, 'metadata.json');
      const args = [
        'build',
        '--metadata-file',
        metadata,
        ...registry.flags,
        '--build-arg',
        'SOURCE_DATE_EPOCH=1700000000',
      ];
      const output = ['-o', `type=oci,rewrite-timestamp=true,dest=${join(rig.work, 'out.tar')}`, context];
      const program = `umask ${mask}; exec "$0" "$@"`;
      await checkProgram('sh', [
        '-c',
        program,
        process.execPath,
        join(import.meta.dirname, '../../dist/tsbuild.js'),
        '--store',
        rig.store,
        ...args,
        ...output,
      ]);
      digests.push(await builtDigest(metadata));
    }
    expect(digests[1]).toBe(digests[0]);
  });
});
