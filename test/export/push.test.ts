import { describe, expect, it } from 'vitest';
import { SlotPool } from '../../src/core/concurrency.ts';
import { compressImage } from '../../src/export/compress-image.ts';
import { writeImageIndex } from '../../src/export/image-index.ts';
import { pushImage } from '../../src/export/push.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import { decodeManifest } from '../../src/oci/decode.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { codeOf } from '../contracts/content-store.ts';
import { openExportRig } from '../support/export-rig.ts';
import { memoryRegistry } from '../support/memory-registry.ts';

const NAME = 'registry.test/team/app:v1';

describe('push', () => {
  it('blobs before the manifest; a second push uploads nothing but the manifest', async () => {
    await using rig = await openExportRig();
    const registry = memoryRegistry();
    const ports = { ...rig, registry, slots: new SlotPool(3) };
    const { manifest, config, layers } = await rig.assemble({ compression: 'gzip' });
    const request = { image: manifest, names: [NAME], by: 'tag' } as const;
    expect(await pushImage(ports, request)).toEqual([{ reference: NAME, digest: manifest.digest }]);
    expect(registry.log.slice(0, -1).toSorted()).toEqual(
      [config, ...layers].map(({ digest }) => `push team/app ${digest}`).toSorted(),
    );
    expect(registry.log.at(-1)).toBe('manifest team/app v1');
    await pushImage(ports, request);
    expect(registry.log.slice(-2)).toEqual(['manifest team/app v1', 'manifest team/app v1']);
    expect(registry.log.filter((line) => line.startsWith('push'))).toHaveLength(3);
  });
  it('by digest: no tag is written', async () => {
    await using rig = await openExportRig();
    const registry = memoryRegistry();
    const { manifest } = await rig.assemble();
    const ports = { ...rig, registry, slots: new SlotPool(3) };
    const pushed = await pushImage(ports, { image: manifest, names: [NAME], by: 'digest' });
    expect(pushed[0]?.digest).toBe(manifest.digest);
    expect(registry.log.at(-1)).toBe(`manifest team/app ${manifest.digest}`);
  });
  it('a second name in the same registry mounts, one elsewhere uploads', async () => {
    await using rig = await openExportRig();
    const registry = memoryRegistry();
    const { manifest } = await rig.assemble();
    const names = [NAME, 'registry.test/other/app:v1', 'elsewhere.test/app:v1'];
    await pushImage({ ...rig, registry, slots: new SlotPool(3) }, { image: manifest, names, by: 'tag' });
    const kinds = registry.log.map((line) => line.split(' ').slice(0, 2).join(' '));
    expect(kinds.filter((kind) => kind === 'mount other/app')).toHaveLength(3);
    expect(kinds.filter((kind) => kind === 'push app')).toHaveLength(3);
  });
  it("a base's blobs are mounted from where they were pulled, in the same registry only", async () => {
    await using rig = await openExportRig();
    const registry = memoryRegistry();
    const ports = { ...rig, registry, slots: new SlotPool(3) };
    const { manifest, layers } = await rig.assemble();
    await pushImage(ports, { image: manifest, names: ['registry.test/library/base:1'], by: 'tag' });
    const origins = new Map([
      [layers[0]!.digest, 'registry.test/library/base:1'],
      [layers[1]!.digest, 'elsewhere.test/library/base:1'],
    ]);
    await pushImage(ports, { image: manifest, names: [NAME], by: 'tag', origins });
    expect(registry.log).toContain(`mount team/app ${layers[0]!.digest}`);
    expect(registry.log).toContain(`push team/app ${layers[1]!.digest}`);
  });
  it('an index: after all of its manifests, and only it gets the tag', async () => {
    await using rig = await openExportRig();
    const registry = memoryRegistry();
    const [one, two] = [await rig.assemble(), await rig.assemble({ compression: 'gzip' })];
    const index = await writeImageIndex(rig.content, {
      images: [
        { manifest: one.manifest, platform: { os: 'linux', architecture: 'amd64' } },
        { manifest: two.manifest, platform: { os: 'linux', architecture: 'arm64' } },
      ],
      mediaTypes: 'oci',
    });
    await pushImage({ ...rig, registry, slots: new SlotPool(3) }, { image: index, names: [NAME], by: 'tag' });
    const order = [one.manifest.digest, two.manifest.digest, 'v1'].map((what) => `manifest team/app ${what}`);
    expect(registry.log.slice(-3)).toEqual(order);
  });
  it('progress: every blob ends at its size', async () => {
    await using rig = await openExportRig();
    const { manifest, config, layers } = await rig.assemble();
    const last = new Map<string, number>();
    const progress = ({ id, current }: { readonly id: string; readonly current: number }): void =>
      void last.set(id, current);
    const ports = { ...rig, registry: memoryRegistry(), slots: new SlotPool(3) };
    await pushImage(ports, { image: manifest, names: [NAME], by: 'tag', progress });
    expect([...last].toSorted()).toEqual([config, ...layers].map(({ digest, size }) => [digest, size]).toSorted());
  });
  it('a missing blob or a bad name fails before anything is sent', async () => {
    await using rig = await openExportRig();
    const registry = memoryRegistry();
    const ports = { ...rig, registry, slots: new SlotPool(3) };
    const { manifest } = await rig.assemble();
    expect(await codeOf(pushImage(ports, { image: manifest, names: ['App'], by: 'tag' }))).toBe('REFERENCE_INVALID');
    await rig.content.remove(manifest.digest);
    expect(await codeOf(pushImage(ports, { image: manifest, names: [NAME], by: 'tag' }))).toBe('BLOB_NOT_FOUND');
    expect(registry.log).toEqual([]);
  });
});

describe('compressImage', () => {
  it.each(['oci', 'docker'] as const)(
    'uncompressed layers are compressed, once; config and diff IDs stay: %s',
    async (mediaTypes) => {
      await using rig = await openExportRig();
      const plain = await rig.assemble({ mediaTypes });
      const ports = { ...rig, slots: new SlotPool(2) };
      const image = await compressImage(ports, { image: plain.manifest, compression: 'gzip' });
      expect(await validateImage(rig.content, image)).toEqual([]);
      const manifest = decodeManifest(await rig.content.readDocument(image));
      expect(manifest.config).toEqual(plain.config);
      const gzip = mediaTypes === 'oci' ? MediaTypes.layerGzip : MediaTypes.dockerLayerGzip;
      expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual([gzip, gzip]);
      expect(image).toEqual((await rig.assemble({ mediaTypes, compression: 'gzip' })).manifest);
      expect(await compressImage(ports, { image, compression: 'gzip' })).toEqual(image);
    },
  );
  it('an index: with all of its manifests', async () => {
    await using rig = await openExportRig();
    const plain = await rig.assemble();
    const platform = { os: 'linux', architecture: 'amd64' };
    const index = await writeImageIndex(rig.content, {
      images: [{ manifest: plain.manifest, platform }],
      mediaTypes: 'oci',
    });
    const image = await compressImage({ ...rig, slots: new SlotPool(2) }, { image: index, compression: 'zstd' });
    expect(image.digest).not.toBe(index.digest);
    expect(await validateImage(rig.content, image)).toEqual([]);
  });
});
