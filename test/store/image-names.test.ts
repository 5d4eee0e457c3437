import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { codeOf } from '../contracts/content-store.ts';
import { imageNamesContract } from '../contracts/image-names.ts';
import { memoryContentStore } from '../support/memory-content-store.ts';
import { memoryImageNames } from '../support/memory-image-names.ts';
import { temporaryStore } from '../support/store-rig.ts';

imageNamesContract('image layout', temporaryStore);
imageNamesContract('memory', async () => {
  const content = memoryContentStore();
  return { content, names: memoryImageNames(content), [Symbol.asyncDispose]: async () => content[Symbol.dispose]() };
});

const APP = 'docker.io/library/app:v1';

describe('names in the image layout', () => {
  it('set: index.json is an image index whose entry has the full reference as its name', async () => {
    await using store = await temporaryStore();
    const image = { mediaType: MediaTypes.manifest, ...(await store.content.write(Buffer.from('{}'))) };
    await store.names.set(APP, image);
    const index = JSON.parse(readFileSync(store.state.layoutIndex, 'utf8')) as Record<string, unknown>;
    expect(index).toMatchObject({
      schemaVersion: 2,
      mediaType: MediaTypes.index,
      manifests: [{ ...image, annotations: { 'org.opencontainers.image.ref.name': APP } }],
    });
  });
  it('set: to what it names already writes nothing', async () => {
    await using store = await temporaryStore();
    const image = { mediaType: MediaTypes.manifest, ...(await store.content.write(Buffer.from('{}'))) };
    await store.names.set(APP, image);
    const before = readFileSync(store.state.layoutIndex, 'utf8');
    await store.names.set(APP, image);
    expect(readFileSync(store.state.layoutIndex, 'utf8')).toBe(before);
  });
  it('names: survive the loss of the cache index', async () => {
    await using store = await temporaryStore();
    const image = { mediaType: MediaTypes.manifest, ...(await store.content.write(Buffer.from('{}'))) };
    await store.names.set(APP, image);
    rmSync(store.state.index, { force: true });
    expect((await store.names.lookup(APP))?.image).toEqual(image);
  });
  it('names: entries that another program added stay, with or without a name', async () => {
    await using store = await temporaryStore();
    const image = { mediaType: MediaTypes.manifest, ...(await store.content.write(Buffer.from('{}'))) };
    const theirs = { ...image, annotations: { 'org.opencontainers.image.ref.name': 'v9', theirs: 'x' } };
    writeFileSync(store.state.layoutIndex, JSON.stringify({ schemaVersion: 2, manifests: [theirs, image] }));
    await store.names.set(APP, image);
    expect((await store.names.list()).map(({ reference }) => reference)).toEqual(['v9', APP]);
    expect(await store.names.entries()).toHaveLength(3);
  });
  it.each(['', '[]', '{"manifests":[{"digest":"sha256:../x","size":1,"mediaType":"a"}]}', '{"manifests":{}}'])(
    'names: a broken index.json is an error, not an empty store: %j',
    async (text) => {
      await using store = await temporaryStore();
      writeFileSync(store.state.layoutIndex, text);
      expect(await codeOf(store.names.list())).toBe('STORE_UNUSABLE');
    },
  );
});
