import { describe, expect, it } from 'vitest';
import { SlotPool } from '../../src/core/concurrency.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { ResolvedImage } from '../../src/core/source.ts';
import { openAssembler } from '../../src/export/assemble.ts';
import { validateImage } from '../../src/export/validate-image.ts';
import { decodeImageConfig, decodeManifest } from '../../src/oci/decode.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { codeOf } from '../contracts/content-store.ts';
import { assembleRequest, type ExportRig, openExportRig } from '../support/export-rig.ts';
import { layerTar } from '../support/synthetic-layers.ts';

const STACK = ['layer-1', 'layer-2'] as unknown as readonly LayerId[];

describe('assemble: layers', () => {
  it.each(['uncompressed', 'gzip', 'zstd'] as const)(
    '%s: a sound image, its layers in the order of the stack',
    async (compression) => {
      await using rig = await openExportRig();
      const image = await rig.assemble({ compression });
      expect(await validateImage(rig.content, image.manifest)).toEqual([]);
      const config = decodeImageConfig(await rig.content.readDocument(image.config));
      expect(config.rootfs.diff_ids).toEqual([
        digestOf(await layerTar({ 'etc/motd': 'hello\n', 'usr/share/big': 'The quick brown fox. '.repeat(20_000) })),
        digestOf(await layerTar({ 'etc/app.conf': 'x=1\n', 'etc/motd': null })),
      ]);
      const manifest = decodeManifest(await rig.content.readDocument(image.manifest));
      expect(manifest.layers).toEqual(image.layers);
      expect(manifest.mediaType).toBe(MediaTypes.manifest);
    },
  );
  it('uncompressed: the blob is the tar itself', async () => {
    await using rig = await openExportRig();
    const { layers, config } = await rig.assemble();
    const { rootfs } = decodeImageConfig(await rig.content.readDocument(config));
    expect(layers.map(({ digest }) => digest)).toEqual(rootfs.diff_ids);
  });
  it('tars: each is made once, whoever asks, how often, and in which process', async () => {
    await using rig = await openExportRig();
    for (const _ of [1, 2])
      for (const [i, layer] of STACK.entries()) rig.assembler.layerCommitted(layer, STACK.slice(0, i));
    await Promise.all([rig.assemble(), rig.assemble({ compression: 'gzip' }), rig.assemble({ compression: 'zstd' })]);
    await using later = openAssembler({ ...rig, codec: rig.layers, slots: new SlotPool(2) });
    later.layerCommitted(STACK[0]!, []);
    await later.assemble({ ...assembleRequest(STACK), compression: 'gzip' });
    expect(rig.layers.written.toSorted()).toEqual(STACK);
  });
  it('tars: are made again where the store lost them', async () => {
    await using rig = await openExportRig();
    const first = await rig.assemble();
    for (const { digest } of first.layers) await rig.content.remove(digest);
    await using later = openAssembler({ ...rig, codec: rig.layers, slots: new SlotPool(2) });
    expect(await later.assemble(assembleRequest(STACK))).toEqual(first);
    expect(await validateImage(rig.content, first.manifest)).toEqual([]);
  });
  it('compressed blobs: are made once and found again', async () => {
    await using rig = await openExportRig();
    const { layers } = await rig.assemble({ compression: 'gzip' });
    const { diffId } = (await rig.cache.lookupLayer(STACK[0]!))!;
    expect(await rig.cache.lookupBlob(diffId, 'gzip:6')).toEqual(layers[0]);
    expect((await rig.assemble({ compression: 'gzip', compressionLevel: 6 })).layers).toEqual(layers);
    expect((await rig.assemble({ compression: 'gzip', compressionLevel: 1 })).layers).not.toEqual(layers);
  });
  it('a layer that cannot be read fails the image, and only when it is needed', async () => {
    await using rig = await openExportRig();
    rig.assembler.layerCommitted('unknown' as LayerId, []);
    await rig.assemble();
    await expect(rig.assemble({ stack: [...STACK, 'unknown' as LayerId] })).rejects.toThrow('no layer unknown');
  });
  it('docker: its own media types, and no zstd', async () => {
    await using rig = await openExportRig();
    const image = await rig.assemble({ mediaTypes: 'docker', compression: 'gzip' });
    expect(image.manifest.mediaType).toBe(MediaTypes.dockerManifest);
    expect(image.config.mediaType).toBe(MediaTypes.dockerConfig);
    expect(new Set(image.layers.map(({ mediaType }) => mediaType))).toEqual(new Set([MediaTypes.dockerLayerGzip]));
    expect(await validateImage(rig.content, image.manifest)).toEqual([]);
    expect(await codeOf(rig.assemble({ mediaTypes: 'docker', compression: 'zstd' }))).toBe('OUTPUT_INVALID');
  });
  it('annotations: stand in the manifest, and their absence leaves no trace', async () => {
    await using rig = await openExportRig();
    const image = await rig.assemble({ annotations: { 'org.opencontainers.image.title': 'app' } });
    const manifest = decodeManifest(await rig.content.readDocument(image.manifest));
    expect(manifest.annotations).toEqual({ 'org.opencontainers.image.title': 'app' });
    expect(decodeManifest(await rig.content.readDocument((await rig.assemble()).manifest)).annotations).toBeUndefined();
  });
});

describe('assemble: times', () => {
  it('a cached rebuild gives the same digest, whatever the clock says', async () => {
    await using rig = await openExportRig();
    const first = await rig.assemble();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await using later = openAssembler({ ...rig, codec: rig.layers, slots: new SlotPool(2) });
    expect(await later.assemble(assembleRequest(STACK))).toEqual(first);
  });
  it('rewrite: file times of own layers end at SOURCE_DATE_EPOCH; what the layer is stays recorded', async () => {
    await using rig = await openExportRig();
    const kept = await rig.assemble();
    const image = await rig.assemble({ epochSeconds: 1_000_000, timestamps: 'rewrite' });
    const config = decodeImageConfig(await rig.content.readDocument(image.config));
    expect(config.rootfs.diff_ids[1]).toBe(
      digestOf(await layerTar({ 'etc/app.conf': 'x=1\n', 'etc/motd': null }, 1_000_000)),
    );
    expect(config.created).toBe('1970-01-12T13:46:40Z');
    expect(await validateImage(rig.content, image.manifest)).toEqual([]);
    expect(await rig.assemble()).toEqual(kept);
  });
});

describe('assemble: on a base image', () => {
  it("own: the base's blobs and descriptors stay as they are, in the wanted family of media types", async () => {
    await using rig = await openExportRig();
    const { base, request } = await withBase(rig);
    const image = await rig.assembler.assemble({ ...request, compression: 'zstd' });
    expect(image.layers[0]).toEqual(base.layers[0]);
    expect(image.layers[1]?.mediaType).toBe(MediaTypes.layerZstd);
    expect(await validateImage(rig.content, image.manifest)).toEqual([]);
    const docker = await rig.assembler.assemble({ ...request, compression: 'gzip', mediaTypes: 'docker' });
    expect(docker.layers[0]).toEqual({ ...base.layers[0], mediaType: MediaTypes.dockerLayerGzip });
  });
  it('force: the base is compressed anew, with the same diff IDs', async () => {
    await using rig = await openExportRig();
    const { request, base } = await withBase(rig);
    const image = await rig.assembler.assemble({ ...request, compression: 'zstd', recompress: 'force' });
    expect(image.layers[0]?.mediaType).toBe(MediaTypes.layerZstd);
    const config = decodeImageConfig(await rig.content.readDocument(image.config));
    expect(config.rootfs.diff_ids[0]).toBe(base.config.rootfs.diff_ids[0]);
    expect(await validateImage(rig.content, image.manifest)).toEqual([]);
  });
  it('a base blob that is gone is made again from the unpacked layer', async () => {
    await using rig = await openExportRig();
    const { request, base } = await withBase(rig);
    await rig.content.remove(base.layers[0]!.digest);
    await rig.content.remove(base.config.rootfs.diff_ids[0]!);
    await using later = openAssembler({ ...rig, codec: rig.layers, slots: new SlotPool(2) });
    const image = await later.assemble({ ...request, compression: 'gzip' });
    expect(await validateImage(rig.content, image.manifest)).toEqual([]);
    const known = await rig.cache.lookupLayer('layer-1' as LayerId);
    expect(known?.diffId).toBe(base.config.rootfs.diff_ids[0]);
  });
  it('a base blob that lies about its content is found out', async () => {
    await using rig = await openExportRig();
    const { request, base } = await withBase(rig);
    await rig.content.remove(base.config.rootfs.diff_ids[0]!);
    const wrong = digestOf('something else');
    const lying = { ...base, config: { ...base.config, rootfs: { ...base.config.rootfs, diff_ids: [wrong] } } };
    await rig.cache.recordLayer({ layer: 'liar' as LayerId, diffId: wrong, size: 1, createdMs: 1 });
    const stack = ['liar', 'layer-2'] as unknown as readonly LayerId[];
    const assembling = rig.assembler.assemble({
      ...request,
      stack,
      bases: [lying],
      compression: 'zstd',
      recompress: 'force',
    });
    expect(await codeOf(assembling)).toBe('DIGEST_MISMATCH');
  });
});

/** An image of the first layer, gzipped as if pulled, and a request for one on top of it. */
async function withBase(rig: ExportRig): Promise<{ base: ResolvedImage; request: ReturnType<typeof assembleRequest> }> {
  const plain = assembleRequest(STACK);
  const history = plain.draft.history.slice(0, 1);
  const image = await rig.assemble({
    stack: STACK.slice(0, 1),
    draft: { ...plain.draft, history },
    compression: 'gzip',
  });
  const config = decodeImageConfig(await rig.content.readDocument(image.config));
  const base: ResolvedImage = {
    reference: 'docker.io/library/base:latest',
    manifest: image.manifest,
    configDigest: image.config.digest,
    config,
    layers: image.layers,
  };
  const own = plain.draft.history.slice(1);
  return {
    base,
    request: { ...plain, bases: [base], draft: { ...plain.draft, history: [...config.history, ...own] } },
  };
}
