import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSlots } from '../../src/core/concurrency.ts';
import type { ImageSource } from '../../src/core/source.ts';
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { openImageSource } from '../../src/source/image.ts';
import { parseLayoutReference } from '../../src/source/oci-layout.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { countingLayers } from '../support/counting-layers.ts';
import { memoryCacheIndex } from '../support/memory-cache-index.ts';
import { memoryContentStore } from '../support/memory-content-store.ts';
import { memoryImageNames } from '../support/memory-image-names.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const wish = { platform: AMD64, strict: 'yes', pull: 'missing' } as const;

/** A layout with images of one layer each, and an image source without any registry. */
interface Rig extends AsyncDisposable {
  readonly folder: string;
  readonly images: ImageSource;
  blob(content: string | object, mediaType: string): Promise<{ mediaType: string; digest: Digest; size: number }>;
  image(content: string, architecture?: string): Promise<{ mediaType: string; digest: Digest; size: number }>;
  index(manifests: readonly object[]): Promise<void>;
}

async function openLayoutRig(): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await temporaryDirectory());
  const content = stack.use(memoryContentStore());
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const layers = countingLayers();
  const blob: Rig['blob'] = async (value, mediaType) => {
    const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    const digest = digestOf(bytes);
    await writeFile(join(folder, 'blobs/sha256', digestHex(digest)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  return {
    folder,
    blob,
    images: openImageSource({
      content,
      index: memoryCacheIndex(),
      names: memoryImageNames(content),
      slots: openSlots(2),
      cwd: folder,
      layers: layers.codec,
      snapshots: layers.snapshots,
      registry: () => expect.unreachable('a registry was opened'),
    }),
    image: async (text, architecture = 'amd64') => {
      const layer = await blob(text, MediaTypes.layer);
      const config = { os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: [layer.digest] } };
      const manifest = { schemaVersion: 2, config: await blob(config, MediaTypes.config), layers: [layer] };
      return blob(manifest, MediaTypes.manifest);
    },
    index: (manifests) => writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests })),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const tagged = (image: object, name: string): object => ({
  ...image,
  annotations: { 'org.opencontainers.image.ref.name': name },
});

describe('oci-layout reference', () => {
  const digest = digestOf('x');
  it.each([
    ['oci-layout:///a/b', { path: '/a/b' }],
    ['oci-layout://a/b:v1.2', { path: 'a/b', tag: 'v1.2' }],
    ['oci-layout://a:b/c', { path: 'a:b/c' }],
    [`oci-layout://a@${digest}`, { path: 'a', digest }],
    [`oci-layout://a:v1@${digest}`, { path: 'a', tag: 'v1', digest }],
    ['oci-layout://with@sign/a', { path: 'with@sign/a' }],
  ])('%s', (text, expected) => {
    expect(parseLayoutReference(text)).toEqual({ tag: undefined, digest: undefined, ...expected });
  });
});

describe('oci-layout', () => {
  it('an image is found by tag, by digest, and alone', async () => {
    await using rig = await openLayoutRig();
    const [one, two] = [await rig.image('one'), await rig.image('two')];
    await rig.index([tagged(one, 'v1'), tagged(two, 'example.com/two:latest')]);
    const digest = async (suffix: string): Promise<string> =>
      (await rig.images.resolve(`oci-layout://.${suffix}`, wish)).manifest.digest;
    expect(await digest(':v1')).toBe(one.digest);
    expect(await digest('')).toBe(two.digest);
    expect(await digest(`@${one.digest}`)).toBe(one.digest);
    await rig.index([one]);
    expect((await rig.images.resolve(`oci-layout://${rig.folder}`, wish)).manifest.digest).toBe(one.digest);
    expect(await rig.images.layers(one.digest, {})).toEqual(['layer-1']);
  });
  it('several platforms without names are one image', async () => {
    await using rig = await openLayoutRig();
    const amd64 = { ...(await rig.image('one')), platform: AMD64 };
    const arm64 = { ...(await rig.image('two', 'arm64')), platform: { os: 'linux', architecture: 'arm64' } };
    await rig.index([arm64, amd64]);
    expect((await rig.images.resolve('oci-layout://.', wish)).manifest.digest).toBe(amd64.digest);
  });
  it('what is not there is named', async () => {
    await using rig = await openLayoutRig();
    await rig.index([tagged(await rig.image('one'), 'v1')]);
    for (const suffix of [':v2', `@${digestOf('x')}`, '/nothing']) {
      expect(await codeOf(rig.images.resolve(`oci-layout://.${suffix}`, wish))).toBe('IMAGE_NOT_FOUND');
    }
    await expect(rig.images.resolve('oci-layout://.:v2', wish)).rejects.toThrow(/the layout has the names v1/);
  });
  it('a blob that is a link is not followed', async () => {
    await using rig = await openLayoutRig();
    const image = await rig.image('one');
    await rig.index([image]);
    const path = join(rig.folder, 'blobs/sha256', digestHex(image.digest));
    await rename(path, join(rig.folder, 'elsewhere'));
    await symlink('../../elsewhere', path);
    expect(await codeOf(rig.images.resolve('oci-layout://.', wish))).toBe('IMAGE_NOT_FOUND');
  });
  it('an index that is a link to a file of the host is not read', async () => {
    await using rig = await openLayoutRig();
    await symlink('/etc/passwd', join(rig.folder, 'index.json'));
    const error = await rig.images.resolve('oci-layout://.', wish).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  });
  it('a blob with other bytes is refused', async () => {
    await using rig = await openLayoutRig();
    const image = await rig.image('one');
    await rig.index([image]);
    const layer = join(rig.folder, 'blobs/sha256', digestHex(digestOf('one')));
    await writeFile(layer, 'two');
    await rig.images.resolve('oci-layout://.', wish);
    expect(await codeOf(rig.images.layers(image.digest, {}))).toBe('DIGEST_MISMATCH');
    await writeFile(join(rig.folder, 'blobs/sha256', digestHex(image.digest)), '{}');
  });
  it('a manifest with other bytes, or none, is refused', async () => {
    await using rig = await openLayoutRig();
    const image = await rig.image('one');
    await rig.index([image]);
    const path = join(rig.folder, 'blobs/sha256', digestHex(image.digest));
    await writeFile(path, '{}');
    expect(await codeOf(rig.images.resolve('oci-layout://.', wish))).toBe('DIGEST_MISMATCH');
    await rm(path);
    expect(await codeOf(rig.images.resolve('oci-layout://.', wish))).toBe('IMAGE_NOT_FOUND');
    await writeFile(join(rig.folder, 'index.json'), 'no json');
    expect(await codeOf(rig.images.resolve('oci-layout://.', wish))).toBe('DOCUMENT_INVALID');
  });
});
