import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { encodeDocument } from '../../src/oci/decode.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { measureStore } from '../../src/store/disk-usage.ts';
import { pruneStore } from '../../src/store/prune.ts';
import type { StoreParts } from '../../src/store/store-survey.ts';
import { cacheKey, cacheRecord, layerInfo } from '../contracts/cache-index.ts';
import { openStore, type OpenStore, temporaryDirectory } from '../support/store-rig.ts';

const APP = 'docker.io/library/app:v1';
const LAYER_BYTES = 5000;

describe('prune', () => {
  it('dangling: keeps what names and records need, removes the rest', async () => {
    await using rig = await openPruneRig();
    const image = await rig.fill(async (store) => {
      const named = await writeImage(store, ['base', 'app']);
      await store.names.set(APP, named);
      await writeImage(store, ['base', 'forgotten']);
      rig.addLayer('cached');
      await store.cache.record([cacheKey('step')], cacheRecord('base', 'cached'));
      return named;
    });
    const result = await pruneStore(rig.parts, { scope: 'dangling' });
    expect(rig.layers()).toEqual(['app', 'base', 'cached']);
    expect(await whole(rig.store, image)).toBe(true);
    expect(result.items).toBeGreaterThan(2);
    expect(await pruneStore(rig.parts, { scope: 'dangling' })).toEqual({ bytes: 0, items: 0 });
  });
  it('unused: records stay where a named image has all their layers', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      await store.names.set(APP, await writeImage(store, ['base', 'app']));
      await store.cache.record([cacheKey('image step')], cacheRecord('base', 'app'));
      rig.addLayer('cached');
      await store.cache.record([cacheKey('other step')], cacheRecord('base', 'cached'));
      rig.addLayer('left by a crash');
    });
    await pruneStore(rig.parts, { scope: 'unused' });
    expect(rig.layers()).toEqual(['app', 'base']);
    expect(await rig.store.cache.lookup(cacheKey('image step'))).toBeDefined();
    expect(await rig.store.cache.lookup(cacheKey('other step'))).toBeUndefined();
  });
  it('unused: blobs kept to make exports fast go, those of named images stay', async () => {
    await using rig = await openPruneRig();
    const { image, gzip } = await rig.fill(async (store) => {
      const named = await writeImage(store, ['base']);
      await store.names.set(APP, named);
      const blob = await store.content.write(Buffer.from('compressed'));
      await store.cache.recordBlob(layerInfo('base').diffId, 'gzip:6', { mediaType: MediaTypes.layerGzip, ...blob });
      return { image: named, gzip: blob };
    });
    await pruneStore(rig.parts, { scope: 'dangling' });
    expect(await rig.stat(gzip.digest)).toBe(true);
    await pruneStore(rig.parts, { scope: 'unused' });
    expect(await rig.stat(gzip.digest)).toBe(false);
    expect(await whole(rig.store, image)).toBe(true);
  });
  it('all: names go as well, and then nothing is left', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      await store.names.set(APP, await writeImage(store, ['base', 'app']));
      await store.cache.record([cacheKey('step')], cacheRecord('base', 'app'));
    });
    await pruneStore(rig.parts, { scope: 'all' });
    expect(await rig.store.names.list()).toEqual([]);
    expect(rig.layers()).toEqual([]);
    expect(await Array.fromAsync(rig.store.content.list())).toEqual([]);
  });
  it('until: spares what was used after it', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => store.cache.record([cacheKey('step')], cacheRecord('base')));
    await pruneStore(rig.parts, { scope: 'unused', usedBeforeMs: Date.now() - 3_600_000 });
    expect(await rig.store.cache.lookup(cacheKey('step'))).toBeDefined();
  });
  it('keepBytes: removes records by their last use until the rest fits', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      for (let i = 0; i < 200; i++) {
        await store.cache.recordLayer(layerInfo(`layer ${i}`));
        rig.addLayer(`layer ${i}`);
        await store.cache.record([cacheKey(`step ${i}`)], cacheRecord(`layer ${i}`));
      }
    });
    await pruneStore(rig.parts, { scope: 'unused', keepBytes: 100 * LAYER_BYTES });
    expect(rig.layers().length).toBeLessThanOrEqual(100);
    expect(rig.layers().length).toBeGreaterThan(30);
  });
  it('a living process: what it made or found stays, named or not', async () => {
    await using rig = await openPruneRig();
    const old = await rig.fill(async (store) => {
      await store.cache.record([cacheKey('found')], cacheRecord('old'));
      await store.cache.recordLayer(layerInfo('old'));
      rig.addLayer('old');
      return writeImage(store, ['base']);
    });
    await using build = await openStore(rig.path);
    await build.cache.lookup(cacheKey('found'));
    await build.cache.lookupDiffId(layerInfo('base').diffId);
    await build.content.lookup(old.digest);
    const fresh = await writeImage({ ...build, addLayer: (id) => rig.addLayer(id) }, ['new']);
    await pruneStore(rig.parts, { scope: 'all' });
    expect(rig.layers()).toEqual(['base', 'new', 'old']);
    expect(await whole(build, fresh)).toBe(true);
    expect(await whole(build, old)).toBe(true);
    await build.names.set(APP, old);
  });
  it('a missing blob or a broken document below a name is no obstacle', async () => {
    await using rig = await openPruneRig();
    const image = await rig.fill(async (store) => {
      const named = await writeImage(store, ['base']);
      await store.names.set(APP, named);
      await store.content.remove(named.digest);
      return named;
    });
    await pruneStore(rig.parts, { scope: 'dangling' });
    expect((await rig.store.names.lookup(APP))?.image.digest).toBe(image.digest);
  });
});

describe('disk usage', () => {
  it('counts each byte once, by kind', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      await store.names.set(APP, await writeImage(store, ['base', 'app']));
      await store.cache.record([cacheKey('1')], cacheRecord('base', 'cached'));
      await store.cache.recordLayer(layerInfo('cached'));
      rig.addLayer('cached');
      await store.content.write(Buffer.from('stray'));
    });
    const rows = new Map((await measureStore(rig.parts)).map((row) => [row.kind, row]));
    expect(rows.get('image layers')).toMatchObject({ count: 2, bytes: 2 * LAYER_BYTES, reclaimableBytes: 0 });
    expect(rows.get('cache layers')).toMatchObject({ count: 1, bytes: LAYER_BYTES, reclaimableBytes: LAYER_BYTES });
    expect(rows.get('unreferenced blobs')).toMatchObject({ count: 1, bytes: 5, reclaimableBytes: 5 });
    expect(rows.get('image blobs')).toMatchObject({ count: 4, reclaimableBytes: 0 });
  });
});

type Filling = OpenStore & { readonly addLayer: (id: string) => void };

interface PruneRig extends AsyncDisposable {
  readonly path: string;
  readonly store: OpenStore;
  readonly parts: StoreParts;
  /** Does what a process did that has ended since. */
  fill<T>(work: (store: Filling) => Promise<T>): Promise<T>;
  addLayer(id: string): void;
  layers(): readonly string[];
  stat(digest: Digest): Promise<boolean>;
}

async function openPruneRig(): Promise<PruneRig> {
  const directory = await temporaryDirectory();
  const path = join(directory.path, 's');
  const unpacked = new Set<string>();
  const addLayer = (id: string): void => void unpacked.add(id);
  let store = await openStore(path);
  const rig = {
    path,
    addLayer,
    get store() {
      return store;
    },
    get parts(): StoreParts {
      return {
        ...store,
        layers: {
          remove: async (layer) => void unpacked.delete(layer),
          list: () => listLayers(unpacked),
          usage: async (layer) => ({ bytes: unpacked.has(layer) ? LAYER_BYTES : 0, inodes: 1 }),
        },
      };
    },
    fill: async <T>(work: (filling: Filling) => Promise<T>) => {
      const result = await work({ ...store, addLayer });
      await store[Symbol.asyncDispose]();
      store = await openStore(path);
      await age(store);
      return result;
    },
    layers: () => [...unpacked].toSorted(),
    stat: async (digest: Digest) =>
      (await Array.fromAsync(store.content.list())).some((blob) => blob.digest === digest),
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
  return rig;
}

async function* listLayers(unpacked: ReadonlySet<string>): AsyncGenerator<{ layer: LayerId; createdMs: number }> {
  for (const layer of unpacked) yield { layer: layer as LayerId, createdMs: 1000 };
}

/** Makes everything a second older, so that the test need not wait for the clock. */
async function age(store: OpenStore): Promise<void> {
  for await (const { digest } of store.content.list()) utimesSync(store.content.path(digest), 1000, 1000);
  const { DatabaseSync } = await import('node:sqlite');
  using database = new DatabaseSync(store.state.index);
  database.exec('create table if not exists results (used_ms); create table if not exists layers (used_ms)');
  database.exec('update results set used_ms = used_ms - 1000; update layers set used_ms = used_ms - 1000');
}

async function writeImage(store: Filling, ids: readonly string[]): Promise<Descriptor> {
  for (const id of ids) {
    await store.cache.recordLayer(layerInfo(id));
    store.addLayer(id);
  }
  const diffIds = ids.map((id) => layerInfo(id).diffId);
  const layers = await Promise.all(
    ids.map(async (id) => ({
      mediaType: MediaTypes.layer,
      ...(await store.content.write(Buffer.from(`tar of ${id}`))),
    })),
  );
  expect(layers.map(({ digest }) => digest)).toEqual(diffIds);
  const config = encodeDocument({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: [],
  });
  const manifest = encodeDocument({
    schemaVersion: 2,
    mediaType: MediaTypes.manifest,
    config: { mediaType: MediaTypes.config, ...(await store.content.write(config)) },
    layers,
  });
  return { mediaType: MediaTypes.manifest, ...(await store.content.write(manifest)) };
}

async function whole(store: OpenStore, image: Descriptor): Promise<boolean> {
  const manifest = JSON.parse(Buffer.from(await store.content.readDocument(image)).toString()) as {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
  };
  const found = await Promise.all(
    [manifest.config, ...manifest.layers].map(({ digest }) => store.content.lookup(digest)),
  );
  return (
    found.every((blob) => blob !== undefined) && image.digest === digestOf(await store.content.readDocument(image))
  );
}
