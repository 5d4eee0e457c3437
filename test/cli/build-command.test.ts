import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BuildRequest, BuildResult, StoreOptions } from '../../src/build-request.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import { BuildError } from '../../src/core/error.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { at } from './events.ts';
import { fakeApi, fakeIo, MemoryStream, type FakeIo } from './fake-io.ts';

const result: BuildResult = {
  images: [
    {
      platform: 'linux/amd64',
      manifestDigest: digestOf('manifest'),
      configDigest: digestOf('config'),
      manifestSize: 345,
      layers: [
        { digest: digestOf('1'), size: 28_000_000, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
        { digest: digestOf('2'), size: 1000, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
      ],
    },
  ],
  digest: digestOf('manifest'),
  names: ['docker.io/library/app:v1'],
  warnings: [],
  steps: { total: 5, cached: 3, ran: 2 },
};

interface Run {
  readonly status: number;
  readonly io: FakeIo;
  readonly request?: BuildRequest;
  readonly store?: StoreOptions;
}

async function run(argv: readonly string[], o: Parameters<typeof fakeIo>[0] = {}): Promise<Run> {
  const io = fakeIo(o);
  let called: { request: BuildRequest; store: StoreOptions } | undefined;
  const build = (request: BuildRequest, store: StoreOptions): Promise<BuildResult> => {
    called = { request, store };
    return Promise.resolve(result);
  };
  const status = await runCli(argv, io, fakeApi({ build }));
  return { status, io, ...called };
}

/** The request without what every request has. */
async function requestOf(
  argv: readonly string[],
  o: Parameters<typeof fakeIo>[0] = {},
): Promise<Partial<BuildRequest>> {
  const { request, io } = await run(argv, o);
  expect(io.stderr.text).not.toContain('error');
  const { signal: _signal, stdout: _stdout, progress: _progress, ...rest } = request ?? expect.fail(io.stderr.text);
  return rest;
}

const here = { context: { kind: 'location', location: '.' } } as const;

describe('build: command line to request', () => {
  test.each([[['.']], [['build', '.']], [['--debug', 'build', '.']], [['build', '--', '.']]])(
    '%j is a plain build',
    async (argv) => {
      expect(await requestOf(argv)).toEqual(here);
    },
  );

  const cases: readonly [string, object][] = [
    ['-t app:v1 --tag b .', { tags: ['app:v1', 'b'] }],
    ['. -tapp', { tags: ['app'] }],
    ['-f sub/Dockerfile .', { dockerfile: { kind: 'path', path: 'sub/Dockerfile' } }],
    ['--target=release .', { target: 'release' }],
    [
      '--build-arg A=1 --build-arg B .',
      {
        buildArgs: new Map([
          ['A', '1'],
          ['B', undefined],
        ]),
      },
    ],
    ['--build-context base=docker-image://debian .', { buildContexts: new Map([['base', 'docker-image://debian']]) }],
    ['--platform linux/arm64,linux/amd64 .', { platforms: ['linux/arm64', 'linux/amd64'] }],
    ['--label a=b .', { labels: new Map([['a', 'b']]) }],
    ['--no-cache .', { noCache: 'all' }],
    ['--no-cache=true .', { noCache: 'all' }],
    ['--no-cache=false .', {}],
    ['--no-cache-filter a,b --no-cache-filter c .', { noCache: ['a', 'b', 'c'] }],
    ['--no-cache --no-cache-filter a .', { noCache: 'all' }],
    ['--pull .', { pull: 'always' }],
    ['--pull=never .', { pull: 'never' }],
    ['--pull=false .', { pull: 'missing' }],
    ['--network none .', { network: 'none' }],
    ['--add-host a:1.2.3.4 .', { addHosts: [{ host: 'a', address: '1.2.3.4' }] }],
    ['--shm-size 64m .', { shmSizeBytes: 64 * 1024 ** 2 }],
    ['--ulimit nofile=1:2 .', { ulimits: [{ name: 'nofile', soft: 1, hard: 2 }] }],
    ['--cgroup-parent /x .', { cgroupParent: '/x' }],
    ['--resource memory=1g --resource pids=5 .', { resources: { memoryBytes: 1024 ** 3, pids: 5 } }],
    ['--allow network.host --allow security.insecure .', { allow: ['network.host', 'security.insecure'] }],
    ['--secret id=a,src=b .', { secrets: [{ id: 'a', from: { kind: 'file', path: 'b' } }] }],
    ['--ssh default=/s .', { ssh: [{ id: 'default', paths: ['/s'] }] }],
    ['--compat buildkit .', { compat: 'buildkit' }],
    ['-t a --load .', { tags: ['a'], outputs: [{ type: 'image', names: ['a'], push: 'no', store: 'yes' }] }],
    ['-t a --push .', { tags: ['a'], outputs: [{ type: 'image', names: ['a'], push: 'yes', store: 'yes' }] }],
    ['-t a -o type=oci,dest=x .', { tags: ['a'], outputs: [{ type: 'oci', names: ['a'], dest: 'x', form: 'tar' }] }],
    [
      '-t a -o type=oci,dest=x,name=b --push .',
      {
        tags: ['a'],
        outputs: [
          { type: 'oci', names: ['b'], dest: 'x', form: 'tar' },
          { type: 'image', names: ['a'], push: 'yes', store: 'yes' },
        ],
      },
    ],
    [
      '-t a -o type=image,compression=zstd --push .',
      {
        tags: ['a'],
        outputs: [{ type: 'image', names: ['a'], push: 'yes', store: 'yes', compression: 'zstd' }],
      },
    ],
    ['-o out .', { outputs: [{ type: 'local', dest: 'out' }] }],
    [
      '--annotation a=b .',
      { outputs: [{ type: 'image', names: [], push: 'no', store: 'yes', annotations: { a: 'b' } }] },
    ],
    [
      '--annotation a=b --annotation c=d -o type=oci,dest=x,annotation.a=z .',
      {
        outputs: [{ type: 'oci', names: [], dest: 'x', form: 'tar', annotations: { a: 'z', c: 'd' } }],
      },
    ],
  ];
  test.each(cases)('%s', async (line, expected) => {
    expect(await requestOf(line.split(' '))).toEqual({ ...here, ...expected });
  });

  test('a context that is no tar on standard input is a Dockerfile', async () => {
    expect(await requestOf(['-'], { stdin: 'FROM scratch\n' })).toEqual({
      context: { kind: 'empty' },
      dockerfile: { kind: 'text', name: '<stdin>', text: Buffer.from('FROM scratch\n') },
    });
  });

  test('-f - reads the Dockerfile from standard input', async () => {
    expect(await requestOf(['-f', '-', 'dir'], { stdin: 'FROM scratch\n' })).toEqual({
      context: { kind: 'location', location: 'dir' },
      dockerfile: { kind: 'text', name: '<stdin>', text: Buffer.from('FROM scratch\n') },
    });
  });

  test.each([
    ['gzip', Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(2000, 7)])],
    ['tar', tarBlock()],
  ])('a %s on standard input is the context', async (_kind, stdin) => {
    const { request } = await run(['-f', 'x/Dockerfile', '-'], { stdin });
    expect(request).toMatchObject({ context: { kind: 'tar' }, dockerfile: { kind: 'path', path: 'x/Dockerfile' } });
    const bytes = request?.context.kind === 'tar' ? await Array.fromAsync(request.context.bytes) : [];
    expect(Buffer.concat(bytes)).toEqual(Buffer.from(stdin));
  });
});

describe('build: usage errors exit with 2', () => {
  const cases: readonly [string, string, string?][] = [
    ['', 'no build context is named'],
    ['a b', 'a build has one context, but 2 are named: a b'],
    ['--tga x .', "unknown option '--tga'", 'did you mean --tag?'],
    ['-t', "option '-t, --tag <NAME[:TAG]>' argument missing"],
    ['-t App .', 'invalid image reference "App"', 'write [REGISTRY/]NAME[:TAG][@DIGEST], the name in lower case'],
    [
      `-t a@${digestOf('')} .`,
      `invalid image reference "a@${digestOf('')}"`,
      'a name of an image to be built has no digest',
    ],
    ['--push .', 'a pushed image needs a name', 'name it with --tag REGISTRY/NAME'],
    ['--progress plian .', '--progress: unknown value "plian"', 'did you mean plain?'],
    ['--network=hots .', '--network: unknown value "hots"', 'did you mean host?'],
    ['-o type=tar -o type=oci .', 'only one output can go to standard output'],
    ['-f - -', 'standard input cannot be both the context and the Dockerfile'],
    ['-f x -', 'standard input is a Dockerfile, but --file names one too'],
    ['--load=maybe .', 'option'],
    ['imagse', 'no command and no directory is named "imagse"', 'did you mean tsbuild images?'],
    ['pul debian', 'no command and no directory is named "pul"', 'did you mean tsbuild pull?'],
  ];
  test.each(cases)('tsbuild %s', async (line, message, hint) => {
    const { status, io, request } = await run(line === '' ? ['build'] : line.split(' '));
    expect(request).toBeUndefined();
    expect(io.stderr.text).toContain(message);
    if (hint !== undefined) expect(io.stderr.text).toContain(`hint: ${hint}\n`);
    expect({ status, stdout: io.stdout.text }).toEqual({ status: 2, stdout: '' });
  });

  test('a tar is not written to a terminal', async () => {
    const { status, io } = await run(['-o', '-', '.'], { stdout: new MemoryStream('terminal') });
    expect([status, io.stderr.text]).toEqual([
      2,
      'error USAGE: a tar is not written to a terminal\nhint: add dest=FILE, or redirect the output\n',
    ]);
  });
});

describe('build: store options', () => {
  test('come from flags, then variables, then the configuration', async () => {
    await using config = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
    const file = join(config.path, 'tsbuild/config.json');
    await import('node:fs/promises').then(({ mkdir }) => mkdir(join(config.path, 'tsbuild')));
    await writeFile(
      file,
      JSON.stringify({
        store: '/from/config',
        runtime: 'crun',
        registryMirrors: { 'docker.io': ['c:1'] },
        insecureRegistries: ['i'],
      }),
    );
    const env = {
      XDG_CONFIG_HOME: config.path,
      TSBUILD_RUNTIME: 'runsc',
      TSBUILD_REGISTRY_MIRRORS: 'docker.io=e:1,docker.io=e:2',
    };
    expect((await run(['.'], { env })).store).toEqual({
      store: '/from/config',
      runtime: 'runsc',
      registryMirrors: new Map([['docker.io', ['e:1', 'e:2']]]),
      insecureRegistries: ['i'],
    });
    expect(
      (await run(['--store', '/s', '--runtime', 'native', '--registry-mirror', 'a=b', '.'], { env })).store,
    ).toMatchObject({
      store: '/s',
      runtime: 'native',
      registryMirrors: new Map([['a', ['b']]]),
    });
    await writeFile(file, '{ "stroe": "/x" }');
    const { status, io } = await run(['.'], { env });
    expect([status, io.stderr.text]).toEqual([
      1,
      expect.stringContaining(`error DOCUMENT_INVALID: ${file} is not valid: Invalid key`),
    ]);
  });

  test('name the usual directory by default', async () => {
    const root = process.geteuid?.() === 0;
    expect((await run(['.'], { env: { XDG_DATA_HOME: '/data' } })).store).toEqual({
      store: root ? '/var/lib/tsbuild' : '/data/tsbuild',
    });
  });
});

describe('build: what it leaves', () => {
  test('a summary on standard error', async () => {
    let clock = 0;
    const { status, io } = await run(['-t', 'app:v1', '-o', 'type=oci,dest=app.tar', '.'], {
      now: () => (clock += 600),
    });
    expect([status, io.stdout.text]).toEqual([0, '']);
    expect(io.stderr.text).toBe(`image   app:v1
digest  ${digestOf('manifest')}
size    28.0MB in 2 layers
output  oci: app.tar
time    0.6s, 5 steps: 3 cached, 2 ran
`);
  });

  test('with -q the image ID alone', async () => {
    const { io } = await run(['-q', '.']);
    expect([io.stdout.text, io.stderr.text]).toEqual([`${digestOf('config')}\n`, '']);
  });

  test('the id on standard output with --progress=quiet too', async () => {
    const { io } = await run(['--progress=quiet', '.']);
    expect([io.stdout.text, io.stderr.text]).toEqual([`${digestOf('config')}\n`, '']);
  });

  test('no id behind a tar that goes to standard output', async () => {
    const { io } = await run(['-q', '-o', '-', '.']);
    expect(io.stdout.text).toBe('');
  });

  test.each(['none', 'rawjson'])('nothing of its own with --progress=%s', async (mode) => {
    const { io } = await run([`--progress=${mode}`, '.']);
    expect([io.stdout.text, io.stderr.text]).toEqual(['', '']);
  });

  test('the files that were asked for', async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
    const [id, metadata] = [join(work.path, 'id'), join(work.path, 'metadata.json')];
    await run(['--iidfile', id, '--metadata-file', metadata, '.']);
    expect(await readFile(id, 'utf8')).toBe(digestOf('config'));
    expect(JSON.parse(await readFile(metadata, 'utf8'))).toEqual({
      'containerimage.config.digest': digestOf('config'),
      'containerimage.descriptor': {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: digestOf('manifest'),
        size: 345,
      },
      'containerimage.digest': digestOf('manifest'),
      'image.name': 'docker.io/library/app:v1',
    });
  });

  test('no old image ID after a failure', async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
    const id = join(work.path, 'id');
    await writeFile(id, 'old');
    expect(await runCli(['--iidfile', id, '.'], fakeIo(), fakeApi({ build: buildFailing }))).toBe(1);
    await expect(readFile(id)).rejects.toThrow('ENOENT');
  });
});

describe('build: progress', () => {
  test('is plain where standard error is no terminal, or CI', async () => {
    expect(await showing({})).toMatch(/^#1 RUN x\n#1 DONE 0.0s\n\n/);
    expect(
      await showing({ stderr: new MemoryStream('terminal'), env: { HOME: '/nonexistent', CI: '1', NO_COLOR: '1' } }),
    ).toMatch(/^#1 RUN x\n#1 DONE/);
    expect(
      await showing(
        { stderr: new MemoryStream('terminal'), env: { HOME: '/nonexistent', TERM: 'dumb' } },
        '--progress=tty',
      ),
    ).toMatch(/^#1 RUN x\n#1 DONE/);
  });

  test('follows the environment, and the flag before it', async () => {
    const env = { HOME: '/nonexistent', TSBUILD_PROGRESS: 'rawjson', BUILDKIT_PROGRESS: 'plain' };
    expect(await showing({ env })).toMatch(/^\{"vertexes"/);
    expect(await showing({ env }, '--progress', 'plain')).toMatch(/^#1 RUN x/);
    expect(await showing({ env: { HOME: '/nonexistent', BUILDKIT_PROGRESS: 'rawjson' } })).toMatch(/^\{"vertexes"/);
  });
});

function buildFailing(): never {
  throw new BuildError('GIT_FAILED', { remote: 'r', reason: 'x' });
}

function buildWithProgress({ progress }: BuildRequest): Promise<BuildResult> {
  progress?.(at.done(0, 'RUN x'));
  return Promise.resolve(result);
}

/** What a build of one step leaves on standard error. */
async function showing(o: Parameters<typeof fakeIo>[0], ...argv: readonly string[]): Promise<string> {
  const io = fakeIo(o);
  await runCli([...argv, '.'], io, fakeApi({ build: buildWithProgress }));
  return io.stderr.text;
}

function tarBlock(): Uint8Array {
  const block = Buffer.alloc(1024);
  block.write('Dockerfile', 0);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
