import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import { startContainer } from '../support/run-container.ts';
import { checkProgram, type ProgramResult } from '../support/run-program.ts';
import { expectFiles, unpackImage } from '../support/unpacked-image.ts';
import { validateLayout } from '../support/validate-layout.ts';

/** Something of everything that an image can hold: owners, modes, links, whiteouts, a device-free fifo, long names, configuration. */
const DOCKERFILE = `FROM busybox
RUN mkdir /gone /opaque && echo x > /gone/x && echo y > /opaque/y && ln -s /bin/sh /link && mkfifo /fifo
RUN rm -r /gone && rm -r /opaque && mkdir /opaque && echo z > /opaque/z
COPY --chown=1000:1001 --chmod=4755 hello /bin/hello
RUN ln /bin/hello /bin/hard && mkdir -p /long/$(printf 'n%.0s' $(seq 120)) && echo deep > /long/$(printf 'n%.0s' $(seq 120))/$(printf 'm%.0s' $(seq 120))
ENV GREETING="hello from the image" EMPTY=
LABEL org.example.made=by-tsbuild
EXPOSE 8080/tcp
VOLUME /data
WORKDIR /work
USER app
ENTRYPOINT ["/bin/hello"]
CMD ["an argument"]
`;
const HELLO = '#!/bin/sh\necho "$GREETING; $(id -u):$(id -g) in $(pwd) with $*"\n';
const GREETING = 'hello from the image; 1000:1001 in /work with an argument\n';

describeWith(['root', 'skopeo', 'umoci', 'runc', 'buildah', 'docker-registry', 'busybox'], 'interop', () => {
  let registry: BusyboxRegistry;
  let rig: Rig & AsyncDisposable;
  let context: string;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
    rig = await openRig();
    context = join(rig.work, 'context');
    await mkdir(context);
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(context, 'hello'), HELLO);
  });
  afterAll(async () => {
    await rig[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const path = (name: string): string => join(rig.work, name);
  const build = (output: string, ...args: readonly string[]): Promise<ProgramResult> =>
    rig.succeed(['build', '-t', 'made:v1', ...registry.flags, '-o', output, ...args, context]);

  it('skopeo and runc: an OCI directory', async () => {
    await build(`type=oci,tar=false,dest=${path('layout')}`);
    const [image] = await validateLayout(path('layout'));
    const seen = await inspect(`oci:${path('layout')}:${image?.refName}`);
    expect(seen).toEqual({ digest: image?.digest, layers: image?.layers.map(({ digest }) => digest) });
    await expectRuns(path('layout'));
  });

  it('skopeo: an OCI archive', async () => {
    await build(`type=oci,dest=${path('oci.tar')}`);
    expect((await inspect(`oci-archive:${path('oci.tar')}`)).layers).toHaveLength(6);
  });

  it('skopeo: an OCI archive on standard output is the same', async () => {
    await build(`type=oci,dest=${path('file.tar')}`);
    const { stdoutBytes } = await build('type=oci,dest=-');
    await writeFile(path('stdout.tar'), stdoutBytes);
    expect((await inspect(`oci-archive:${path('stdout.tar')}`)).digest).toBe(
      (await inspect(`oci-archive:${path('file.tar')}`)).digest,
    );
  });

  it('skopeo: from OCI to a docker archive and back', async () => {
    await build(`type=oci,dest=${path('there.tar')}`);
    await checkProgram('skopeo', [
      'copy',
      '--quiet',
      `oci-archive:${path('there.tar')}`,
      `docker-archive:${path('docker.tar')}:made:v1`,
    ]);
    await checkProgram('skopeo', ['copy', '--quiet', `docker-archive:${path('docker.tar')}`, `oci:${path('back')}:v1`]);
    await expectRuns(path('back'));
  });

  it('skopeo: a docker archive of ours', async () => {
    await build(`type=docker,dest=${path('ours.tar')}`);
    const tags = JSON.parse(await checkProgram('tar', ['-xOf', path('ours.tar'), 'manifest.json'])) as readonly {
      RepoTags: readonly string[];
    }[];
    expect(tags.flatMap(({ RepoTags }) => RepoTags)).toEqual(['made:v1']);
    await inspect(`docker-archive:${path('ours.tar')}`);
    await checkProgram('skopeo', [
      'copy',
      '--quiet',
      `docker-archive:${path('ours.tar')}`,
      `oci:${path('from-ours')}:v1`,
    ]);
    await expectRuns(path('from-ours'));
  });

  it('skopeo: Docker media types and zstd', async () => {
    await build(`type=oci,tar=false,oci-mediatypes=false,dest=${path('docker-types')}`);
    const [image] = await validateLayout(path('docker-types'));
    expect(image?.layers.every(({ mediaType }) => mediaType.startsWith('application/vnd.docker.'))).toBe(true);
    await build(`type=oci,tar=false,compression=zstd,force-compression=true,dest=${path('zstd')}`);
    const [packed] = await validateLayout(path('zstd'));
    await checkProgram('skopeo', [
      'copy',
      '--quiet',
      `oci:${path('zstd')}:${packed?.refName}`,
      `dir:${path('zstd-dir')}`,
    ]);
  });

  it('tsbuild: loads what skopeo made of it, with the same image ID', async () => {
    await build(`type=oci,tar=false,dest=${path('original')}`, '--iidfile', path('iid'));
    const [image] = await validateLayout(path('original'));
    await checkProgram('skopeo', [
      'copy',
      '--quiet',
      `oci:${path('original')}:${image?.refName}`,
      `docker-archive:${path('again.tar')}:again:v3`,
    ]);
    await rig.succeed(['load', '--input', path('again.tar')]);
    const { stdout } = await rig.succeed(['images', '--quiet', '--no-trunc']);
    expect(stdout).toContain(await readFile(path('iid'), 'utf8'));
  });

  it('registry: what is pushed is what others pull, and what tsbuild pulls again', async () => {
    const name = `${registry.host}/team/made:v1`;
    await rig.succeed([
      'build',
      '-t',
      name,
      '--push',
      ...registry.flags,
      '--metadata-file',
      path('pushed.json'),
      context,
    ]);
    const { digest } = await inspect('--tls-verify=false', `docker://${name}`);
    expect(JSON.parse(await readFile(path('pushed.json'), 'utf8'))).toMatchObject({ 'containerimage.digest': digest });
    await checkProgram('skopeo', [
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      `docker://${name}`,
      `oci:${path('pulled')}:v1`,
    ]);
    await expectRuns(path('pulled'));
    await using other = await openRig();
    await writeFile(join(other.work, 'Dockerfile'), `FROM ${name}\nUSER root\nRUN /bin/hello works > /proof\n`);
    await other.succeed(['build', '-o', `type=local,dest=${join(other.work, 'out')}`, other.work]);
    await expectFiles(join(other.work, 'out'), { '/proof': 'hello from the image; 0:0 in /work with works\n' });
  });

  it('buildah: pulls the archive into a storage of its own and runs it', { timeout: 120_000 }, async () => {
    await build(`type=oci,dest=${path('buildah.tar')}`);
    const storage = ['--root', path('storage'), '--runroot', path('run'), '--storage-driver', 'vfs'];
    const buildah = (...args: readonly string[]): Promise<string> => checkProgram('buildah', [...storage, ...args]);
    await buildah('pull', '--quiet', `oci-archive:${path('buildah.tar')}`);
    const images = JSON.parse(await buildah('images', '--json')) as readonly { id: string }[];
    expect(images).toHaveLength(1);
    const container = (await buildah('from', '--pull-never', images[0]?.id ?? '')).trim();
    const mounted = (await buildah('mount', container)).trim();
    await expectFiles(mounted, {
      '/gone': null,
      '/opaque': { entries: ['z'] },
      '/bin/hard': { content: HELLO, mode: '4755', uid: 1000 },
    });
    await buildah('rm', '--all');
  });
});

/** The image in a layout runs as it should. */

async function expectRuns(layout: string): Promise<void> {
  const [image] = await validateLayout(layout);
  await using unpacked = await unpackImage(layout, image?.refName ?? 'latest');
  await expectFiles(unpacked.rootfs, {
    '/gone': null,
    '/opaque': { entries: ['z'] },
    '/fifo': { type: 'fifo' },
    '/bin/hard': { content: HELLO, uid: 1000, gid: 1001, mode: '4755' },
    '/data': null,
  });
  await using container = await startContainer(unpacked.bundle);
  expect(await container.ended).toMatchObject({ status: 0, stdout: GREETING });
}

async function inspect(
  ...source: readonly string[]
): Promise<{ readonly digest: string; readonly layers: readonly string[] }> {
  const image = JSON.parse(await checkProgram('skopeo', ['inspect', ...source])) as {
    Digest: string;
    Layers: readonly string[];
  };
  const config = JSON.parse(await checkProgram('skopeo', ['inspect', '--config', ...source])) as {
    config: Record<string, unknown>;
  };
  expect(config.config).toMatchObject({
    Env: expect.arrayContaining(['GREETING=hello from the image', 'EMPTY=']) as string[],
    Labels: { 'org.example.made': 'by-tsbuild' },
    ExposedPorts: { '8080/tcp': {} },
    Volumes: { '/data': {} },
    WorkingDir: '/work',
    User: 'app',
    Entrypoint: ['/bin/hello'],
    Cmd: ['an argument'],
  });
  return { digest: image.Digest, layers: image.Layers };
}
