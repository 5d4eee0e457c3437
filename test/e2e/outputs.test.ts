import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { builtDigest, openRig, type Rig } from '../support/rig.ts';
import { checkProgram } from '../support/run-program.ts';
import { expectFiles } from '../support/unpacked-image.ts';
import { validateLayout } from '../support/validate-layout.ts';

const DOCKERFILE = `FROM busybox AS tools
FROM scratch
COPY --from=tools /bin/busybox /bin/
COPY --chown=5:6 --chmod=4750 hello /hello
COPY --from=tools /bin/sh /bin/sh
LABEL made=here
`;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e outputs', () => {
  let registry: BusyboxRegistry;
  let rig: Rig & AsyncDisposable;
  let context: string;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
    rig = await openRig();
    context = join(rig.work, 'context');
    await mkdir(context);
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(context, 'hello'), 'hello\n');
  });
  afterAll(async () => {
    await rig[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const build = (...args: readonly string[]): ReturnType<Rig['succeed']> =>
    rig.succeed(['build', ...registry.flags, ...args, context]);
  const path = (name: string): string => join(rig.work, name);

  it('output: an image in the store has its names, and can be tagged, saved, removed', async () => {
    await build('-t', 'app:v1', '-t', 'example.com/team/app');
    const { stdout } = await rig.succeed(['images']);
    expect(stdout).toMatch(/\bapp\b.*\bv1\b/);
    expect(stdout).toMatch(/example\.com\/team\/app/);
    await rig.succeed(['tag', 'app:v1', 'other:v2']);
    await rig.succeed(['save', '--output', path('saved.tar'), 'other:v2']);
    expect(await checkProgram('tar', ['-tf', path('saved.tar')])).toContain('manifest.json');
    await rig.succeed(['rmi', 'app:v1', 'example.com/team/app', 'other:v2']);
    expect((await rig.succeed(['images'])).stdout).not.toMatch(/\bapp\b/);
    expect((await rig.succeed(['load', '--input', path('saved.tar')])).stdout).toContain('other:v2');
    expect((await rig.succeed(['history', 'other:v2'])).stdout).toContain('COPY');
  });

  it('output: --iidfile and --metadata-file say what was made', async () => {
    await build('-t', 'app:v1', '--iidfile', path('iid'), '--metadata-file', path('metadata.json'));
    const metadata = JSON.parse(await readFile(path('metadata.json'), 'utf8')) as Record<string, unknown>;
    const iid = await readFile(path('iid'), 'utf8');
    expect(iid).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(metadata).toMatchObject({
      'containerimage.config.digest': iid,
      'containerimage.digest': expect.stringMatching(/^sha256:/) as string,
      'containerimage.descriptor': {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: metadata['containerimage.digest'],
      },
      'image.name': 'docker.io/library/app:v1',
    });
  });

  it.each(['gzip', 'zstd', 'uncompressed'])('output: compression %s gives a valid layout', async (compression) => {
    await build(
      '-o',
      `type=oci,tar=false,dest=${path(`layout-${compression}`)},compression=${compression},force-compression=true`,
    );
    const [image] = await validateLayout(path(`layout-${compression}`));
    const suffix = compression === 'uncompressed' ? '.tar' : `.tar+${compression}`;
    expect(image?.layers.map(({ mediaType }) => mediaType)).toEqual(
      Array.from({ length: 3 }, () => `application/vnd.oci.image.layer.v1${suffix}`),
    );
  });

  it('output: several platforms make an index', async () => {
    await writeFile(
      join(context, 'platforms.Dockerfile'),
      'FROM scratch\nARG TARGETARCH\nCOPY hello /hello-$TARGETARCH\n',
    );
    const metadata = ['--metadata-file', path('platforms.json')];
    const platforms = ['-f', join(context, 'platforms.Dockerfile'), '--platform', 'linux/amd64,linux/arm64'];
    await build(...platforms, ...metadata, '-o', `type=oci,tar=false,dest=${path('platforms')}`);
    const images = await validateLayout(path('platforms'));
    expect(images.map(({ config }) => `${config.os}/${config.architecture}`)).toEqual(['linux/amd64', 'linux/arm64']);
    expect(images.map(({ layers }) => layers[0]?.names)).toEqual([['hello-amd64'], ['hello-arm64']]);
    const index = JSON.parse(await readFile(path('platforms/index.json'), 'utf8')) as {
      manifests: readonly { digest: string }[];
    };
    expect(index.manifests.map(({ digest }) => digest)).toEqual([await builtDigest(path('platforms.json'))]);
  });

  it('output: an annotation is in the manifest', async () => {
    await build('-o', `type=oci,tar=false,dest=${path('annotated')}`, '--annotation', 'org.example.note=yes');
    const [image] = await validateLayout(path('annotated'));
    expect(image?.annotations).toMatchObject({ 'org.example.note': 'yes' });
  });

  it('output: type=local writes the files', async () => {
    await build('-o', path('local'));
    await expectFiles(path('local'), {
      '/': { entries: ['bin', 'hello'] },
      '/hello': { type: 'file', content: 'hello\n' },
      '/bin/sh': { type: 'file' },
    });
  });

  it('output: type=tar, to a file and to standard output', async () => {
    await build('-o', `type=tar,dest=${path('out.tar')}`);
    const { stdoutBytes } = await build('-o', '-');
    expect(stdoutBytes.equals(await readFile(path('out.tar')))).toBe(true);
    const listing = await checkProgram('tar', ['--numeric-owner', '-tvf', path('out.tar')]);
    expect(listing).toMatch(/^-rwsr-x--- 5\/6 +6 .* hello$/m);
  });

  it('output: several at once, and none at all', async () => {
    await build(
      '-o',
      `type=oci,dest=${path('several.tar')}`,
      '-o',
      `type=local,dest=${path('several')}`,
      '-o',
      'type=cacheonly',
    );
    expect(await readdir(path('several'))).toContain('hello');
    expect(await checkProgram('tar', ['-tf', path('several.tar')])).toContain('oci-layout');
  });

  it('output: a failing build leaves no half-written file', async () => {
    await writeFile(join(context, 'failing.Dockerfile'), 'FROM scratch\nCOPY nothing /\n');
    const output = ['-o', `type=oci,dest=${path('failed/out.tar')}`, '-o', `type=local,dest=${path('failed/local')}`];
    await mkdir(path('failed'));
    const { status } = await rig.run(['build', '-f', join(context, 'failing.Dockerfile'), ...output, context]);
    expect(status).toBe(1);
    expect(await readdir(path('failed'))).toEqual([]);
  });

  it('output: a directory that cannot be written is an error that names it', async () => {
    const dest = join(context, 'Dockerfile/out.tar');
    const { status, stderr } = await rig.run(['build', ...registry.flags, '-o', `type=oci,dest=${dest}`, context]);
    expect(status).toBe(1);
    expect(stderr).toContain('OUTPUT_FAILED');
    expect(stderr).toContain(dest);
  });

  it('store: du and prune', async () => {
    await build('-t', 'app:v1');
    expect((await rig.succeed(['du'])).stdout).toMatch(/layers?/i);
    await rig.succeed(['prune', '--all', '--force']);
    expect((await rig.succeed(['images', '--quiet'])).stdout).toBe('');
    await build('-t', 'app:v1');
  });
});
