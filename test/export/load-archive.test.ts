import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { exportDockerArchive } from '../../src/export/docker-archive.ts';
import { loadArchive } from '../../src/export/load-archive.ts';
import { exportOciLayout } from '../../src/export/oci-layout.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import { encodeDocument } from '../../src/oci/decode.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { ImageConfig } from '../../src/oci/image-config.ts';
import { codeOf } from '../contracts/content-store.ts';
import { APP, type ExportRig, openExportRig } from '../support/export-rig.ts';
import { chunked, type OpenStore, temporaryStore } from '../support/store-rig.ts';
import { layerTar } from '../support/synthetic-layers.ts';

describe('load: forms', () => {
  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('an archive compressed with %s, as a file and as a stream', async (_, compressBytes) => {
    await using rig = await openExportRig();
    const archive = await writeArchive(rig);
    writeFileSync(archive, compressBytes(readFileSync(archive)));
    await using other = await temporaryStore();
    expect(await loadArchive(other, { input: archive })).toHaveLength(1);
    expect(await loadArchive(other, { input: chunked(readFileSync(archive), 3) })).toHaveLength(1);
  });
  it('an old docker archive: layers in directories, shared ones as links, plain names', async () => {
    await using rig = await openExportRig();
    const tar = await layerTar({ 'etc/motd': 'hello\n' });
    const config = configOf(digestOf(tar), digestOf(tar));
    const archive = await packFiles(rig, {
      'a/layer.tar': tar,
      'b/layer.tar': { link: '../a/layer.tar' },
      'c.json': encodeDocument(config),
      'manifest.json': JSON.stringify([
        { Config: 'c.json', RepoTags: ['app:v1'], Layers: ['a/layer.tar', 'b/layer.tar'] },
      ]),
      repositories: '{}',
    });
    await using other = await temporaryStore();
    const [loaded] = await loadArchive(other, { input: archive });
    expect(loaded?.names).toEqual([APP]);
    expect(await validateImage(other.content, loaded!.image)).toEqual([]);
  });
  it('a docker archive with gzipped layers', async () => {
    await using rig = await openExportRig();
    const tar = await layerTar({ 'etc/motd': 'hello\n' });
    const archive = await packFiles(rig, {
      'l.tar': gzipSync(tar),
      'c.json': encodeDocument(configOf(digestOf(tar))),
      'manifest.json': JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: ['l.tar'] }]),
    });
    await using other = await temporaryStore();
    const [loaded] = await loadArchive(other, { input: archive, names: [APP] });
    expect(loaded?.names).toEqual([APP]);
    expect(await validateImage(other.content, loaded!.image)).toEqual([]);
  });
  it('names given replace those in the archive', async () => {
    await using rig = await openExportRig();
    await using other = await temporaryStore();
    await loadArchive(other, { input: await writeArchive(rig), names: ['docker.io/library/mine:1'] });
    expect((await other.names.list()).map(({ reference }) => reference)).toEqual(['docker.io/library/mine:1']);
  });
  it('only what images refer to is stored', async () => {
    await using rig = await openExportRig();
    const directory = join(rig.work, 'out');
    const { manifest } = await rig.assemble();
    await exportOciLayout(rig.content, {
      images: [{ image: manifest, names: [APP] }],
      form: 'directory',
      dest: directory,
    });
    const stray = Buffer.from('stray');
    writeFileSync(join(directory, 'blobs/sha256', digestOf(stray).slice(7)), stray);
    await using other = await temporaryStore();
    await loadArchive(other, { input: directory });
    expect(await other.content.lookup(digestOf(stray))).toBeUndefined();
    expect(await Array.fromAsync(other.content.list())).toHaveLength(4);
  });
});

describe('load: hostile and broken archives', () => {
  const cases: readonly (readonly [string, (rig: ExportRig) => Promise<string>])[] = [
    ['nothing of an image', (rig) => packFiles(rig, { 'etc/passwd': 'x' })],
    ['an empty file', async (rig) => writeIn(rig, Buffer.alloc(0))],
    ['no tar', async (rig) => writeIn(rig, Buffer.alloc(5000, 'x'))],
    ['xz', async (rig) => writeIn(rig, Buffer.from('fd377a585a0000', 'hex'))],
    ['a cut archive', (rig) => cutArchive(rig)],
    [
      'a blob that is not its name',
      (rig) => packFiles(rig, { [`blobs/sha256/${'0'.repeat(64)}`]: 'x', 'index.json': '{}' }),
    ],
    ['a blob with a bad name', (rig) => packFiles(rig, { 'blobs/sha256/x': 'x', 'index.json': '{}' })],
    ['one member twice', (rig) => packTwice(rig)],
    ['an index that is none', (rig) => packFiles(rig, { 'index.json': '{"schemaVersion":2,"manifests":[{}]}' })],
    ['an index of nothing', (rig) => packFiles(rig, { 'index.json': '{"schemaVersion":2,"manifests":[]}' })],
    ['a list that is none', (rig) => packFiles(rig, { 'manifest.json': '{"Config":1}' })],
    ['a list that is no JSON', (rig) => packFiles(rig, { 'manifest.json': '[' })],
    ['a config outside', (rig) => packFiles(rig, { 'manifest.json': '[{"Config":"../../etc/passwd","Layers":[]}]' })],
    ['a layer behind a link that leads outside', (rig) => linkOutside(rig)],
    ['a layer with another diff ID', (rig) => wrongDiffId(rig)],
    ['more diff IDs than layers', (rig) => missingLayer(rig)],
    ['a damaged gzip layer', (rig) => damagedLayer(rig)],
    ['a missing layer', (rig) => layoutWithout(rig, 'layer')],
    ['a missing config', (rig) => layoutWithout(rig, 'config')],
    ['a missing manifest', (rig) => layoutWithout(rig, 'manifest')],
  ];
  it.each(cases)('%s: is refused, and nothing is stored', async (_, make) => {
    await using rig = await openExportRig();
    await using other = await temporaryStore();
    expect(await codeOf(loadArchive(other, { input: await make(rig) }))).toBe('ARCHIVE_INVALID');
    await expectEmpty(other);
  });
  it('a directory whose blobs are links elsewhere', async () => {
    await using rig = await openExportRig();
    await using other = await temporaryStore();
    const directory = join(rig.work, 'out');
    const { manifest } = await rig.assemble();
    mkdirSync(join(rig.work, 'moved'));
    await exportOciLayout(rig.content, {
      images: [{ image: manifest, names: [APP] }],
      form: 'directory',
      dest: directory,
    });
    execFileSync('mv', [join(directory, 'blobs'), join(rig.work, 'moved')]);
    symlinkSync('../moved/blobs', join(directory, 'blobs'));
    expect(await codeOf(loadArchive(other, { input: directory }))).toBe('ARCHIVE_INVALID');
    await expectEmpty(other);
  });
  it('a path that is not there', async () => {
    await using other = await temporaryStore();
    expect(await codeOf(loadArchive(other, { input: '/nowhere/at/all' }))).toBe('ARCHIVE_INVALID');
  });
});

async function expectEmpty(store: OpenStore): Promise<void> {
  expect(await Array.fromAsync(store.content.list())).toEqual([]);
  expect(await store.names.list()).toEqual([]);
}

function configOf(...diffIds: readonly ReturnType<typeof digestOf>[]): ImageConfig {
  const history = diffIds.map(() => ({ created_by: 'COPY' }));
  return { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds }, history };
}

async function writeArchive(rig: ExportRig): Promise<string> {
  const dest = join(rig.work, 'archive.tar');
  const { manifest } = await rig.assemble();
  await exportDockerArchive(rig.content, { images: [{ image: manifest, names: [APP] }], dest });
  return dest;
}

function writeIn(rig: ExportRig, bytes: Uint8Array): string {
  const path = join(rig.work, 'archive.tar');
  writeFileSync(path, bytes);
  return path;
}

/** Archives by another program: GNU tar. */
async function packFiles(
  rig: ExportRig,
  files: Readonly<Record<string, string | Uint8Array | { readonly link: string }>>,
): Promise<string> {
  const top = join(rig.work, 'members');
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(top, name, '..'), { recursive: true });
    if (typeof content === 'object' && 'link' in content) symlinkSync(content.link, join(top, name));
    else writeFileSync(join(top, name), content);
  }
  const path = join(rig.work, 'archive.tar');
  execFileSync('tar', ['-C', top, '-cf', path, ...Object.keys(files)]);
  return path;
}

async function packTwice(rig: ExportRig): Promise<string> {
  const path = await packFiles(rig, { 'index.json': '{}' });
  execFileSync('tar', ['-C', join(rig.work, 'members'), '-rf', path, 'index.json']);
  return path;
}

async function cutArchive(rig: ExportRig): Promise<string> {
  const path = await writeArchive(rig);
  truncateSync(path, 20_000);
  return path;
}

function linkOutside(rig: ExportRig): Promise<string> {
  return packFiles(rig, {
    'c.json': encodeDocument(configOf(digestOf('x'))),
    'l.tar': { link: '/etc/passwd' },
    'manifest.json': JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }]),
  });
}

async function wrongDiffId(rig: ExportRig): Promise<string> {
  return packFiles(rig, {
    'c.json': encodeDocument(configOf(digestOf('other'))),
    'l.tar': await layerTar({ a: 'a' }),
    'manifest.json': JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }]),
  });
}

async function missingLayer(rig: ExportRig): Promise<string> {
  const tar = await layerTar({ a: 'a' });
  return packFiles(rig, {
    'c.json': encodeDocument(configOf(digestOf(tar), digestOf('other'))),
    'l.tar': tar,
    'manifest.json': JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }]),
  });
}

async function damagedLayer(rig: ExportRig): Promise<string> {
  const tar = await layerTar({ a: 'a' });
  return packFiles(rig, {
    'c.json': encodeDocument(configOf(digestOf(tar))),
    'l.tar': gzipSync(tar).subarray(0, 60),
    'manifest.json': JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }]),
  });
}

async function layoutWithout(rig: ExportRig, part: 'layer' | 'config' | 'manifest'): Promise<string> {
  const dest = join(rig.work, 'out');
  const { manifest, config, layers } = await rig.assemble();
  await exportOciLayout(rig.content, { images: [{ image: manifest, names: [APP] }], form: 'directory', dest });
  const { digest } = { layer: layers[0]!, config, manifest }[part];
  execFileSync('rm', [join(dest, 'blobs/sha256', digest.slice(7))]);
  return dest;
}
