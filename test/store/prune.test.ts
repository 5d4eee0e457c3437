import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts';
import { encodeDocument } from '../../src/oci/decode.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { type DiskUsage, sumUsage } from '../../src/store/disk-usage.ts';
import { listRecords } from '../../src/store/store-records.ts';
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
    await build.cache.lookupLayer(layerInfo('base').layer);
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

describe('prune of fetched trees', () => {
  it('unused: they go, and with dangling they stay', async () => {
    await using rig = await openPruneRig();
    await rig.fill(fetchTrees);
    await pruneStore(rig.parts, { scope: 'dangling' });
    expect((await usageOf(rig)).get('downloads')).toMatchObject({ count: 2 });
    const { items, bytes } = await pruneStore(rig.parts, { scope: 'unused' });
    expect(items).toBe(3);
    expect(bytes).toBeGreaterThan(3 * 100_000);
    expect(readdirSync(join(rig.path, 'http/trees'))).toEqual([]);
    expect(readdirSync(join(rig.path, 'git/used'))).toEqual([]);
  });
  it('keepBytes: they go before any record does, the longest unused first', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      await store.cache.record([cacheKey('step')], cacheRecord('base'));
      await store.cache.recordLayer(layerInfo('base'));
      store.addLayer('base');
      await fetchTrees(store);
    });
    utimesSync(join(rig.path, 'http/used', digestHex(digestOf('file 2'))), 2000, 2000);
    await pruneStore(rig.parts, { scope: 'unused', keepBytes: 200_000 });
    expect(readdirSync(join(rig.path, 'http/trees'))).toEqual([digestHex(digestOf('file 2'))]);
    expect(readdirSync(join(rig.path, 'git/trees'))).toEqual([]);
    expect(await rig.store.cache.lookup(cacheKey('step'))).toBeDefined();
  });
  it('a living process: what it found stays, and what it fetched', async () => {
    await using rig = await openPruneRig();
    await rig.fill(fetchTrees);
    await using build = await openStore(rig.path);
    const found = await build.downloads.lookup(digestOf('file 1'));
    await pruneStore(rig.parts, { scope: 'all' });
    expect(readdirSync(found!)).toEqual(['file']);
    expect(await build.downloads.lookup(digestOf('file 2'))).toBeUndefined();
    await fetchTrees(build);
    await pruneStore(rig.parts, { scope: 'all' });
    expect(readdirSync(join(rig.path, 'http/trees'))).toHaveLength(2);
  });
});

describe('prune of what is selected', () => {
  it('only: nothing else goes, and nothing that others stand on', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      for (const id of ['a', 'b', 'c']) {
        await store.cache.recordLayer(layerInfo(id));
        rig.addLayer(id);
      }
      await store.cache.record([cacheKey('a')], cacheRecord('a'));
      await store.cache.record([cacheKey('b')], cacheRecord('a', 'b'));
      await store.cache.record([cacheKey('c')], cacheRecord('c'));
      await store.names.set(APP, await writeImage(store, ['base']));
      await fetchTrees(store);
    });
    expect(await pruneStore(rig.parts, { scope: 'all', only: new Set(['a']) })).toEqual({ bytes: 0, items: 0 });
    expect(await rig.store.cache.lookup(cacheKey('a'))).toBeDefined();
    const only = new Set(['b', digestOf('file 1')]);
    expect(await pruneStore(rig.parts, { scope: 'unused', only })).toMatchObject({ items: 2 });
    expect(rig.layers()).toEqual(['a', 'base', 'c']);
    expect(readdirSync(join(rig.path, 'http/trees'))).toHaveLength(1);
    expect(await rig.store.names.list()).toHaveLength(1);
  });
});

describe('records', () => {
  it('say what a layer lies on, who needs it and what made it', async () => {
    await using rig = await openPruneRig();
    await rig.fill(async (store) => {
      await store.names.set(APP, await writeImage(store, ['base']));
      for (const id of ['one', 'two']) {
        await store.cache.record([cacheKey(id)], { ...cacheRecord('base', id), fields: id });
        await store.cache.recordLayer(layerInfo(id));
        rig.addLayer(id);
      }
      rig.addLayer('stray');
    });
    await using build = await openStore(rig.path);
    await build.cache.lookup(cacheKey('two'));
    const records = await listRecords(rig.parts, { describe: (fields) => `step ${fields}` });
    const one = records.find(({ id }) => id === 'one');
    expect(one).toMatchObject({ kind: 'cache layers', parents: ['base'], description: 'step one', type: 'regular' });
    expect(one).toMatchObject({ inUse: 'no', shared: 'no', mutable: 'no' });
    expect(records.find(({ id }) => id === 'two')).toMatchObject({ inUse: 'yes' });
    expect(records.find(({ id }) => id === 'base')).toMatchObject({
      kind: 'image layers',
      inUse: 'yes',
      shared: 'yes',
    });
    expect(records.find(({ id }) => id === 'stray')).toMatchObject({
      description: 'nothing refers to it',
      inUse: 'no',
    });
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
    const rows = await usageOf(rig);
    expect(rows.get('image layers')).toMatchObject({ count: 2, bytes: 2 * LAYER_BYTES, reclaimableBytes: 0 });
    expect(rows.get('cache layers')).toMatchObject({ count: 1, bytes: LAYER_BYTES, reclaimableBytes: LAYER_BYTES });
    expect(rows.get('unreferenced blobs')).toMatchObject({ count: 1, bytes: 5, reclaimableBytes: 5 });
    expect(rows.get('image blobs')).toMatchObject({ count: 4, reclaimableBytes: 0 });
  });
});

async function usageOf(rig: PruneRig): Promise<ReadonlyMap<string, DiskUsage>> {
  const records = await listRecords(rig.parts, { describe: () => '' });
  const measured = await Promise.all(records.map(async (record) => ({ ...record, bytes: await record.measure() })));
  return new Map(sumUsage(measured).map((row) => [row.kind, row]));
}

/** Two downloads and a checkout of 100 kB each. */
async function fetchTrees({ state, downloads, checkouts }: OpenStore): Promise<void> {
  for (const [trees, name] of [
    [downloads, 'file 1'],
    [downloads, 'file 2'],
    [checkouts, 'commit'],
  ] as const) {
    const draft = join(state.tmp, name);
    mkdirSync(draft);
    writeFileSync(join(draft, 'file'), 'x'.repeat(100_000));
    await trees.publish(digestOf(name), draft);
  }
}

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
  for (const kind of ['http', 'git']) {
    const marks = join(store.state.root, kind, 'used');
    for (const name of existsSync(marks) ? readdirSync(marks) : []) utimesSync(join(marks, name), 1000, 1000);
  }
  await store.cache.survey();
  const { DatabaseSync } = await import('node:sqlite');
  using database = new DatabaseSync(store.state.index);
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
