import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { exportDockerArchive } from '../../src/export/docker-archive.ts';
import { writeImageIndex } from '../../src/export/image-index.ts';
import { blobPath } from '../../src/export/layout-files.ts';
import { loadArchive } from '../../src/export/load-archive.ts';
import { exportOciLayout } from '../../src/export/oci-layout.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { readTar } from '../../src/oci/tar-reader.ts';
import { codeOf } from '../contracts/content-store.ts';
import { exporterContract } from '../contracts/exporter.ts';
import { APP, type ExportRig, openExportRig } from '../support/export-rig.ts';
import { chunked, temporaryStore } from '../support/store-rig.ts';

exporterContract('oci tar', (content, o) => exportOciLayout(content, { ...o, form: 'tar' }));
exporterContract('oci directory', (content, o) => exportOciLayout(content, { ...o, form: 'directory' }));
exporterContract('docker archive', (content, o) => exportDockerArchive(content, o));

describe('standard output', () => {
  it('receives the archive, and stays open', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    const stdout = new PassThrough({ highWaterMark: 1000 });
    const received = Array.fromAsync(stdout);
    await exportOciLayout(rig.content, { images: [{ image: manifest, names: [APP] }], form: 'tar', dest: '-', stdout });
    expect(stdout.writable).toBe(true);
    stdout.end();
    await using other = await temporaryStore();
    const bytes = Buffer.concat((await received) as readonly Buffer[]);
    expect(await loadArchive(other, { input: chunked(bytes, 1000) })).toHaveLength(1);
  });
  it('a reader that goes away fails the export', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new Error('write EPIPE')) });
    const request = { images: [{ image: manifest, names: [] }], dest: '-', stdout };
    expect(await codeOf(exportDockerArchive(rig.content, request))).toBe('OUTPUT_FAILED');
  });
  it('a directory cannot go there', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    const request = { images: [{ image: manifest, names: [] }], form: 'directory' } as const;
    // Below /proc the kernel makes no directories.
    for (const dest of ['-', '/proc/x/y']) {
      expect(await codeOf(exportOciLayout(rig.content, { ...request, dest }))).toBe('OUTPUT_FAILED');
    }
  });
});

describe('oci directory', () => {
  it('an existing layout gets the image added, one of the same name replaced', async () => {
    await using rig = await openExportRig();
    const dest = join(rig.work, 'out');
    const [one, two, three] = [
      (await rig.assemble()).manifest,
      (await rig.assemble({ compression: 'gzip' })).manifest,
      (await rig.assemble({ compression: 'zstd' })).manifest,
    ];
    const request = { form: 'directory', dest } as const;
    await exportOciLayout(rig.content, { ...request, images: [{ image: one, names: [APP] }] });
    await exportOciLayout(rig.content, { ...request, images: [{ image: two, names: ['docker.io/library/app:v2'] }] });
    await exportOciLayout(rig.content, { ...request, images: [{ image: three, names: [APP] }] });
    await using other = await temporaryStore();
    const loaded = await loadArchive(other, { input: dest });
    expect(loaded.map(({ image, names }) => [image.digest, ...names])).toEqual([
      [two.digest, 'docker.io/library/app:v2'],
      [three.digest, APP],
    ]);
  });
  it('an empty directory is taken, one with other things is refused and left alone', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    const request = { images: [{ image: manifest, names: [APP] }], form: 'directory' } as const;
    mkdirSync(join(rig.work, 'empty'));
    await exportOciLayout(rig.content, { ...request, dest: join(rig.work, 'empty') });
    mkdirSync(join(rig.work, 'full'));
    writeFileSync(join(rig.work, 'full/notes'), 'mine');
    expect(await codeOf(exportOciLayout(rig.content, { ...request, dest: join(rig.work, 'full') }))).toBe(
      'OUTPUT_FAILED',
    );
    expect(readdirSync(join(rig.work, 'full'))).toEqual(['notes']);
    expect(readdirSync(rig.work).toSorted()).toEqual(['empty', 'full']);
  });
});

describe('output files', () => {
  it('a file is replaced only when the new one is whole', async () => {
    await using rig = await openExportRig();
    const { manifest, layers } = await rig.assemble();
    const dest = join(rig.work, 'out.tar');
    writeFileSync(dest, 'the old one');
    writeFileSync(rig.content.path(layers[1]!.digest), 'damaged');
    expect(await codeOf(exportDockerArchive(rig.content, { images: [{ image: manifest, names: [] }], dest }))).toBe(
      'DIGEST_MISMATCH',
    );
    expect(readFileSync(dest, 'utf8')).toBe('the old one');
    expect(readdirSync(rig.work)).toEqual(['out.tar']);
  });
  it('missing directories are made; a directory in the way is refused', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    const request = { images: [{ image: manifest, names: [] }] };
    await exportDockerArchive(rig.content, { ...request, dest: join(rig.work, 'a/b/out.tar') });
    expect(existsSync(join(rig.work, 'a/b/out.tar'))).toBe(true);
    expect(await codeOf(exportDockerArchive(rig.content, { ...request, dest: join(rig.work, 'a') }))).toBe(
      'OUTPUT_FAILED',
    );
  });
  it('/dev/null is written to, not replaced', async () => {
    await using rig = await openExportRig();
    const { manifest } = await rig.assemble();
    await exportDockerArchive(rig.content, { images: [{ image: manifest, names: [] }], dest: '/dev/null' });
    expect(readFileSync('/dev/null', 'utf8')).toBe('');
  });
});

describe('several platforms', () => {
  it('an index names each manifest with its platform, and travels whole', async () => {
    await using rig = await openExportRig();
    await using other = await temporaryStore();
    const index = await writeIndex(rig);
    expect(await validateImage(rig.content, index)).toEqual([]);
    const dest = join(rig.work, 'out.tar');
    await exportOciLayout(rig.content, { images: [{ image: index, names: [APP] }], form: 'tar', dest });
    expect(await loadArchive(other, { input: dest })).toEqual([{ image: index, names: [APP] }]);
    expect(await validateImage(other.content, index)).toEqual([]);
  });
  it('docker archives refuse them', async () => {
    await using rig = await openExportRig();
    const index = await writeIndex(rig);
    const request = { images: [{ image: index, names: [APP] }], dest: join(rig.work, 'out.tar') };
    expect(await codeOf(exportDockerArchive(rig.content, request))).toBe('OUTPUT_INVALID');
  });
  it('a platform that is not here is left out of an archive', async () => {
    await using rig = await openExportRig();
    await using other = await temporaryStore();
    const index = await writeIndex(rig, 'partial');
    const dest = join(rig.work, 'out.tar');
    await exportDockerArchive(rig.content, { images: [{ image: index, names: [APP] }], dest });
    expect(await loadArchive(other, { input: dest })).toEqual([{ image: index, names: [APP] }]);
    expect(await validateImage(rig.content, index)).not.toEqual([]);
  });
});

describe('docker archive', () => {
  it('manifest.json: names as docker writes them, the layers in order', async () => {
    await using rig = await openExportRig();
    const { manifest, config, layers } = await rig.assemble({ compression: 'gzip' });
    const dest = join(rig.work, 'out.tar');
    const names = [APP, 'docker.io/user/app:latest', 'registry.test:5000/app:v1'];
    await exportDockerArchive(rig.content, { images: [{ image: manifest, names }], dest });
    const list = JSON.parse((await readMember(dest, 'manifest.json')).toString()) as unknown;
    expect(list).toEqual([
      {
        Config: blobPath(config.digest),
        RepoTags: ['app:v1', 'user/app:latest', 'registry.test:5000/app:v1'],
        Layers: layers.map(({ digest }) => blobPath(digest)),
      },
    ]);
  });
});

async function writeIndex(rig: ExportRig, completeness: 'whole' | 'partial' = 'whole') {
  const amd64 = await rig.assemble();
  const arm64 = await rig.assemble({ compression: 'gzip' });
  if (completeness === 'partial') await rig.content.remove(arm64.manifest.digest);
  const index = await writeImageIndex(rig.content, {
    images: [
      { manifest: amd64.manifest, platform: { os: 'linux', architecture: 'amd64' } },
      { manifest: arm64.manifest, platform: { os: 'linux', architecture: 'arm64' } },
    ],
    mediaTypes: 'oci',
  });
  expect(index.mediaType).toBe(MediaTypes.index);
  return index;
}

async function readMember(archive: string, name: string): Promise<Buffer> {
  for await (const { entry, body } of readTar(chunked(readFileSync(archive), 65_536))) {
    if (entry.path.toString() === name) return Buffer.concat(await Array.fromAsync(body));
    for await (const _ of body) continue;
  }
  throw new Error(`no ${name}`);
}
