import { chmod, stat, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { CacheIndex, ImageNames } from '../../src/core/cache.ts';
import { openSlots } from '../../src/core/concurrency.ts';
import type { ContentStore } from '../../src/core/content.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { ImageSource } from '../../src/core/source.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { openImageSource } from '../../src/source/image.ts';
import { codeOf, openTestRegistry } from '../contracts/registry-server.ts';
import { countingLayers, type CountingLayers } from '../support/counting-layers.ts';
import { type FakeRegistry, openFakeRegistry } from '../support/fake-registry.ts';
import { memoryCacheIndex } from '../support/memory-cache-index.ts';
import { memoryContentStore } from '../support/memory-content-store.ts';
import { memoryImageNames } from '../support/memory-image-names.ts';
import { temporaryStore } from '../support/store-rig.ts';
import { putDocument, putImage, putIndex } from '../support/registry-image.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const ARM64 = { os: 'linux', architecture: 'arm64' };
const missing = { platform: AMD64, strict: 'no', pull: 'missing' } as const;

interface Rig extends AsyncDisposable {
  readonly images: ImageSource;
  readonly server: FakeRegistry;
  readonly content: ContentStore;
  readonly index: CacheIndex;
  readonly names: ImageNames;
  readonly layers: CountingLayers;
  /** The repository `app` of the server. */
  readonly app: string;
  /** Another image source on the same store, as a second build has it. */
  again(): ImageSource;
}

async function openImages(): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await openFakeRegistry());
  const registry = stack.use(openTestRegistry());
  const content = stack.use(memoryContentStore());
  const [index, names, layers] = [memoryCacheIndex(), memoryImageNames(content), countingLayers()];
  const again = (): ImageSource =>
    openImageSource({
      content,
      index,
      names,
      slots: openSlots(2),
      registry: () => registry,
      layers: layers.codec,
      snapshots: layers.snapshots,
    });
  return {
    server,
    content,
    index,
    names,
    layers,
    again,
    images: again(),
    app: `${server.host}/app`,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('image: from a registry', () => {
  it.each([
    ['oci', 'gzip'],
    ['oci', 'zstd'],
    ['oci', 'uncompressed'],
    ['docker', 'gzip'],
    ['docker', 'uncompressed'],
  ] as const)('%s types with %s layers: pinned, then fetched and unpacked in order', async (types, compression) => {
    await using rig = await openImages();
    const manifest = putImage(rig.server, {
      repository: 'app',
      tag: 'v1',
      layers: ['one', 'two', 'three'],
      types,
      compression,
    });
    const image = await rig.images.resolve(`${rig.app}:v1`, missing);
    expect(image).toMatchObject({ reference: `${rig.app}:v1`, manifest, config: { config: { Env: ['A=1'] } } });
    expect(rig.server.requests.filter(({ path }) => path.includes('/blobs/'))).toHaveLength(1);
    const stack = await rig.images.layers(manifest.digest, {});
    expect(stack).toEqual(['layer-1', 'layer-2', 'layer-3']);
    expect(rig.layers.applied.map(({ lower }) => lower)).toEqual([[], ['layer-1'], ['layer-1', 'layer-2']]);
    expect(rig.layers.applied.map(({ size }) => size)).toEqual([3, 3, 5]);
    for (const { digest } of image.layers) expect(await rig.content.lookup(digest)).toBeDefined();
    expect(await rig.index.lookupBlobDiffId(image.layers[1]!.digest)).toBe(digestOf('two'));
  });

  it('once pulled it needs no registry, unless it has to be asked', async () => {
    await using rig = await openImages();
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'v1', layers: ['one'] });
    await rig.images.resolve(`${rig.app}:v1`, missing);
    await rig.images.layers(digest, {});
    const before = rig.server.requests.length;
    const second = rig.again();
    for (const pull of ['missing', 'never'] as const) {
      expect((await second.resolve(`${rig.app}:v1`, { ...missing, pull })).manifest.digest).toBe(digest);
    }
    expect(await second.layers(digest, {})).toEqual(['layer-1']);
    expect(rig.server.requests).toHaveLength(before);
    expect(rig.layers.applied).toHaveLength(1);
    const newer = putImage(rig.server, { repository: 'app', tag: 'v1', layers: ['two'] });
    expect((await second.resolve(`${rig.app}:v1`, missing)).manifest.digest).toBe(digest);
    expect((await second.resolve(`${rig.app}:v1`, { ...missing, pull: 'always' })).manifest.digest).toBe(newer.digest);
    await second.layers(newer.digest, {});
    expect((await second.resolve(`${rig.app}:v1`, missing)).manifest.digest).toBe(newer.digest);
  });

  it('one that is asked for always, and has not changed, costs one question', async () => {
    await using rig = await openImages();
    putImage(rig.server, { repository: 'app', tag: 'latest', layers: ['one'] });
    await rig.images.resolve(rig.app, missing);
    const before = rig.server.requests.length;
    await rig.again().resolve(rig.app, { ...missing, pull: 'always' });
    expect(rig.server.requests.slice(before).map(({ method, path }) => `${method} ${path}`)).toEqual([
      'HEAD /v2/app/manifests/latest',
    ]);
  });

  it('a digest is found in the store under whatever name it came', async () => {
    await using rig = await openImages();
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'v1', layers: [] });
    await rig.images.resolve(`${rig.app}:v1`, missing);
    const pinned = await rig.again().resolve(`nowhere.invalid/other@${digest}`, { ...missing, pull: 'never' });
    expect(pinned.manifest.digest).toBe(digest);
  });

  it('what is nowhere is an error, without a question where none may be asked', async () => {
    await using rig = await openImages();
    expect(await codeOf(rig.images.resolve(`${rig.app}:v1`, missing))).toBe('IMAGE_NOT_FOUND');
    const before = rig.server.requests.length;
    expect(await codeOf(rig.images.resolve(`${rig.app}:v1`, { ...missing, pull: 'never' }))).toBe('IMAGE_NOT_FOUND');
    expect(rig.server.requests).toHaveLength(before);
  });

  it.each(['', 'UPPER', 'a b', 'a@sha256:abc', 'docker-image://', 'oci-layout://', 'oci-layout://x@sha256:abc'])(
    'reference %j is refused',
    async (reference) => {
      await using rig = await openImages();
      expect(await codeOf(rig.images.resolve(reference, missing))).toBe('REFERENCE_INVALID');
    },
  );

  it('docker-image:// is the same', async () => {
    await using rig = await openImages();
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'v1', layers: [] });
    expect((await rig.images.resolve(`docker-image://${rig.app}:v1`, missing)).manifest.digest).toBe(digest);
  });
});

describe('image: platforms', () => {
  const attestation = { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } };

  it('an index is searched for the platform; attestations are no images', async () => {
    await using rig = await openImages();
    const put = (platform: typeof AMD64, layers: string[]) => ({
      ...putImage(rig.server, { repository: 'app', layers, platform }),
      platform,
    });
    const [amd64, arm64] = [put(AMD64, ['a']), put(ARM64, ['b'])];
    const unknown = { ...put(AMD64, ['c']), platform: { os: 'unknown', architecture: 'unknown' }, ...attestation };
    putIndex(rig.server, { repository: 'app', tag: 'v1' }, [unknown, amd64, arm64]);
    const resolve = (platform: typeof AMD64, strict: 'yes' | 'no' = 'yes') =>
      rig.images.resolve(`${rig.app}:v1`, { platform, strict, pull: 'missing' });
    expect((await resolve(ARM64)).manifest.digest).toBe(arm64.digest);
    expect((await resolve(AMD64)).manifest.digest).toBe(amd64.digest);
    const error = await resolve({ os: 'linux', architecture: 's390x' }, 'no').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'PLATFORM_NOT_FOUND', detail: { known: ['linux/amd64', 'linux/arm64'] } });
    // The name is the index': another platform is found later without asking for the tag again.
    await rig.images.layers(arm64.digest, {});
    const before = rig.server.requests.length;
    expect(
      (await rig.again().resolve(`${rig.app}:v1`, { platform: AMD64, strict: 'yes', pull: 'missing' })).manifest.digest,
    ).toBe(amd64.digest);
    expect(rig.server.requests).toHaveLength(before);
  });

  it('without a wish of the user an image of another platform is taken, with one it is not', async () => {
    await using rig = await openImages();
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'v1', layers: [], platform: ARM64 });
    expect((await rig.images.resolve(`${rig.app}:v1`, missing)).manifest.digest).toBe(digest);
    expect(await codeOf(rig.images.resolve(`${rig.app}:v1`, { ...missing, strict: 'yes' }))).toBe('PLATFORM_NOT_FOUND');
  });

  it('an image at hand for another platform is looked for at its registry, which need not be there', async () => {
    await using rig = await openImages();
    const arm64 = putImage(rig.server, { repository: 'app', tag: 'v1', layers: [], platform: ARM64 });
    await rig.images.resolve(`${rig.app}:v1`, missing);
    await rig.images.layers(arm64.digest, {});
    const strict = { ...missing, strict: 'yes' } as const;
    expect(await codeOf(rig.again().resolve(`${rig.app}:v1`, { ...strict, pull: 'never' }))).toBe('PLATFORM_NOT_FOUND');
    const amd64 = putImage(rig.server, { repository: 'app', tag: 'v1', layers: [], platform: AMD64 });
    expect((await rig.again().resolve(`${rig.app}:v1`, strict)).manifest.digest).toBe(amd64.digest);
    await rig.server[Symbol.asyncDispose]();
    expect(await codeOf(rig.again().resolve(`${rig.app}:v1`, strict))).toBe('PLATFORM_NOT_FOUND');
  });

  it('indexes within indexes are followed, but not for ever', async () => {
    await using rig = await openImages();
    let inner = putImage(rig.server, { repository: 'app', layers: [] });
    const { digest } = inner;
    const tags = ['one', 'two', 'three', 'four'];
    for (const tag of tags) inner = putIndex(rig.server, { repository: 'app', tag }, [{ ...inner, platform: AMD64 }]);
    expect((await rig.images.resolve(`${rig.app}:three`, missing)).manifest.digest).toBe(digest);
    expect(await codeOf(rig.images.resolve(`${rig.app}:four`, missing))).toBe('DOCUMENT_INVALID');
  });
});

describe('image: hostile documents', () => {
  const layer = { mediaType: MediaTypes.layerGzip, digest: digestOf('x'), size: 1 };
  it.each([
    ['a manifest that could be an index', (m: object) => ({ ...m, manifests: [] })],
    [
      'a manifest with another type than its descriptor',
      (m: object) => ({ ...m, mediaType: MediaTypes.dockerManifest }),
    ],
    [
      'a config of another type',
      (m: { config?: object }) => ({ ...m, config: { ...m.config, mediaType: 'application/wasm' } }),
    ],
    [
      'a layer that is elsewhere',
      (m: object) => ({
        ...m,
        layers: [
          {
            ...layer,
            mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
            urls: ['http://127.0.0.1:1/'],
          },
        ],
      }),
    ],
    [
      'a layer digest that is a path',
      (m: object) => ({ ...m, layers: [{ ...layer, digest: 'sha256:../../../etc/passwd' }] }),
    ],
    ['more layers than the config has', (m: object) => ({ ...m, layers: [layer, layer] })],
    ['no JSON object', () => []],
  ])('%s is refused', async (_, tamper) => {
    await using rig = await openImages();
    putImage(rig.server, { repository: 'app', layers: ['one'], tamper: { manifest: tamper } });
    const [document] = rig.server.manifests.values();
    // The registry's own words about the type are good, the document's are not.
    rig.server.manifests.set('app:v1', { ...document!, mediaType: MediaTypes.manifest });
    rig.server.manifests.set(`app@${digestOf(document!.bytes)}`, { ...document!, mediaType: MediaTypes.manifest });
    expect(await codeOf(rig.images.resolve(`${rig.app}:v1`, missing))).toBe('DOCUMENT_INVALID');
  });
  it('an index that is a manifest is refused', async () => {
    await using rig = await openImages();
    putDocument(
      rig.server,
      { repository: 'app', tag: 'v1' },
      { schemaVersion: 2, mediaType: MediaTypes.index, manifests: [], layers: [] },
    );
    expect(await codeOf(rig.images.resolve(`${rig.app}:v1`, missing))).toBe('DOCUMENT_INVALID');
  });
  it('a manifest in an index under the type of the other kind is refused', async () => {
    await using rig = await openImages();
    const image = putImage(rig.server, { repository: 'app', layers: [] });
    putIndex(rig.server, { repository: 'app', tag: 'v1' }, [
      { ...image, mediaType: MediaTypes.dockerManifest, platform: AMD64 },
    ]);
    expect(await codeOf(rig.images.resolve(`${rig.app}:v1`, missing))).toBe('DOCUMENT_INVALID');
  });
  it('foreign urls of a layer are not asked', async () => {
    await using rig = await openImages();
    await using elsewhere = await openFakeRegistry();
    const image = putImage(rig.server, {
      repository: 'app',
      tag: 'v1',
      layers: ['one'],
      tamper: {
        manifest: (m) => ({
          ...m,
          layers: (m['layers'] as object[]).map((l) => ({ ...l, urls: [`http://${elsewhere.host}/`] })),
        }),
      },
    });
    await rig.images.resolve(`${rig.app}:v1`, missing);
    await rig.images.layers(image.digest, {});
    expect(elsewhere.requests).toEqual([]);
  });
});

/** Puts an image into the registry and pins it. */
const resolved = async (rig: Rig, layers: readonly string[], tag = 'v1') => {
  const manifest = putImage(rig.server, { repository: 'app', tag, layers });
  await rig.images.resolve(`${rig.app}:${tag}`, missing);
  return manifest.digest;
};

/** How often the blob of a layer was asked for. */
const blobRequests = (rig: Rig, content: string): number =>
  rig.server.requests.filter(({ path }) => path.includes(digestOf(gzipSync(content)))).length;

/** A config that promises another content. */
const otherContent = (c: object) => ({ ...c, rootfs: { type: 'layers', diff_ids: [digestOf('other')] } });

describe('image: layers', () => {
  it('a content other than the config promises is refused, and leaves no layer', async () => {
    await using rig = await openImages();
    const { digest } = putImage(rig.server, {
      repository: 'app',
      tag: 'v1',
      layers: ['one'],
      tamper: { config: otherContent },
    });
    await rig.images.resolve(`${rig.app}:v1`, missing);
    expect(await codeOf(rig.images.layers(digest, {}))).toBe('DIGEST_MISMATCH');
    expect(rig.layers.present.size).toBe(0);
    expect(await rig.index.lookupLayer('layer-1' as LayerId)).toBeUndefined();
    expect(await rig.names.list()).toEqual([]);
  });
  it('a blob with other bytes is refused before it is unpacked', async () => {
    await using rig = await openImages();
    const digest = await resolved(rig, ['one', 'two']);
    const blob = digestOf(gzipSync('two'));
    const wrong = gzipSync('too');
    expect(wrong.length).toBe(gzipSync('two').length);
    rig.server.blobs.set(`app@${blob}`, wrong);
    expect(await codeOf(rig.images.layers(digest, {}))).toBe('DIGEST_MISMATCH');
    expect(await rig.content.lookup(blob)).toBeUndefined();
    expect(rig.layers.applied.length).toBeLessThanOrEqual(1);
  });
  it('a blob that is no gzip is an invalid layer', async () => {
    await using rig = await openImages();
    const tamper = {
      manifest: (m: object) => ({
        ...m,
        layers: [{ mediaType: MediaTypes.layerGzip, digest: digestOf('plain'), size: 5 }],
      }),
    };
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'v1', layers: ['one'], tamper });
    rig.server.blobs.set(`app@${digestOf('plain')}`, Buffer.from('plain'));
    await rig.images.resolve(`${rig.app}:v1`, missing);
    expect(await codeOf(rig.images.layers(digest, {}))).toBe('LAYER_INVALID');
  });
  it('one that two images share is fetched and unpacked once, however many ask at once', async () => {
    await using rig = await openImages();
    const first = await resolved(rig, ['base', 'one'], 'one');
    const second = await resolved(rig, ['base', 'two'], 'two');
    const stacks = await Promise.all([first, second, first, second].map((digest) => rig.images.layers(digest, {})));
    expect(stacks[0]).toEqual(stacks[2]);
    expect(stacks[1]).toEqual(stacks[3]);
    expect(stacks[0]?.[0]).toBe(stacks[1]?.[0]);
    expect(rig.layers.applied).toHaveLength(3);
    expect(blobRequests(rig, 'base')).toBe(1);
  });
  it('one that occurs twice in an image is fetched once, and unpacked on what lies below it each time', async () => {
    await using rig = await openImages();
    const digest = await resolved(rig, ['empty', 'one', 'empty']);
    expect(await rig.images.layers(digest, {})).toEqual(['layer-1', 'layer-2', 'layer-3']);
    expect(blobRequests(rig, 'empty')).toBe(1);
  });
  it('one that was unpacked on other layers is not taken for one that lies on these', async () => {
    await using rig = await openImages();
    const [, onOne] = await rig.images.layers(await resolved(rig, ['one', 'shared']), {});
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'other', layers: ['two', 'shared'] });
    await rig.images.resolve(`${rig.app}:other`, missing);
    const [, onTwo] = await rig.images.layers(digest, {});
    expect(onTwo).not.toBe(onOne);
  });
  it('one that was unpacked from another blob is not unpacked again', async () => {
    await using rig = await openImages();
    await rig.images.layers(await resolved(rig, ['one']), {});
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'zstd', layers: ['one'], compression: 'zstd' });
    const { layers } = await rig.images.resolve(`${rig.app}:zstd`, missing);
    expect(await rig.images.layers(digest, {})).toEqual(['layer-1']);
    expect(rig.layers.applied).toHaveLength(1);
    expect(await rig.content.lookup(layers[0]!.digest)).toBeDefined();
  });
  it('one that has vanished from the snapshots is unpacked again from its blob', async () => {
    await using rig = await openImages();
    const digest = await resolved(rig, ['one']);
    const [layer] = await rig.images.layers(digest, {});
    await rig.layers.snapshots.remove(layer!);
    expect(await rig.images.layers(digest, {})).toEqual(['layer-2']);
    expect(blobRequests(rig, 'one')).toBe(1);
  });
  it('a blob, or a document, that has gone bad in the store is fetched again', async () => {
    await using rig = await openImages();
    await using store = await temporaryStore();
    const layers = countingLayers();
    await using registry = openTestRegistry();
    const open = (): ImageSource =>
      openImageSource({
        content: store.content,
        index: store.cache,
        names: store.names,
        registry: () => registry,
        layers: layers.codec,
        snapshots: layers.snapshots,
        slots: openSlots(2),
      });
    const { digest } = putImage(rig.server, { repository: 'app', tag: 'v1', layers: ['one'] });
    const source = open();
    const image = await source.resolve(`${rig.app}:v1`, missing);
    const [layer] = await source.layers(digest, {});
    await layers.snapshots.remove(layer!);
    for (const bad of [digest, image.configDigest, image.layers[0]!.digest]) {
      const path = store.content.path(bad);
      await chmod(path, 0o644);
      await writeFile(path, Buffer.alloc((await stat(path)).size));
    }
    const again = open();
    await again.resolve(`${rig.app}:v1`, missing);
    expect(await again.layers(digest, {})).toEqual(['layer-2']);
  });
  it('who gives up does not take the layer from who waits for it as well', async () => {
    await using rig = await openImages();
    const digest = await resolved(rig, ['one']);
    const blob = digestOf(gzipSync('one'));
    const { promise: asked, resolve: tell } = Promise.withResolvers<undefined>();
    const { promise: go, resolve: start } = Promise.withResolvers<undefined>();
    let intercepted = false;
    rig.server.intercept = (request, response) => {
      if (intercepted || request.url?.includes(blob) !== true) return false;
      intercepted = true;
      tell(undefined);
      go.then(
        () => response.writeHead(200).end(gzipSync('one')),
        () => undefined,
      );
      return true;
    };
    const controller = new AbortController();
    const impatient = rig.images.layers(digest, { signal: controller.signal });
    const patient = rig.images.layers(digest, {});
    await asked;
    const reason = new Error('stopped by the test');
    controller.abort(reason);
    await expect(impatient).rejects.toBe(reason);
    start(undefined);
    expect(await patient).toEqual(['layer-1']);
    expect(blobRequests(rig, 'one')).toBe(1);
  });
  it('when the last one gives up, the download ends', async () => {
    await using rig = await openImages();
    const digest = await resolved(rig, ['one']);
    const { promise: asked, resolve: tell } = Promise.withResolvers<undefined>();
    const { promise: closed, resolve: close } = Promise.withResolvers<undefined>();
    rig.server.intercept = (_, response) => {
      response.writeHead(200).write('x');
      response.once('close', () => close(undefined));
      tell(undefined);
      return true;
    };
    const controller = new AbortController();
    const work = rig.images.layers(digest, { signal: controller.signal });
    await asked;
    controller.abort(new Error('stopped by the test'));
    await expect(work).rejects.toThrow('stopped by the test');
    await closed;
    expect(await rig.content.lookup(digestOf(gzipSync('one')))).toBeUndefined();
  });
  it('progress: tells of each blob how far it is, and that it is complete', async () => {
    await using rig = await openImages();
    const digest = await resolved(rig, ['one', 'two']);
    const told = new Map<string, { current: number; total: number }>();
    await rig.images.layers(digest, { progress: ({ id, ...status }) => told.set(id, status) });
    expect(told.size).toBe(4);
    for (const { current, total } of told.values()) expect(current).toBe(total);
  });
});
