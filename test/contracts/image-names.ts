import { describe, expect, it } from 'vitest';
import type { ImageNames } from '../../src/core/cache.ts';
import type { ContentStore } from '../../src/core/content.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { codeOf } from './content-store.ts';

/** Names to be tested, the blobs they stand for, and their end. */
export interface ImageNamesUnderTest extends AsyncDisposable {
  readonly names: ImageNames;
  readonly content: ContentStore;
}

const APP = 'docker.io/library/app:v1';

/** What every set of image names does. */
export function imageNamesContract(name: string, open: () => Promise<ImageNamesUnderTest>): void {
  describe(`image names: ${name}`, () => {
    it('set: the name stands for the image, with its annotations', async () => {
      await using store = await open();
      const image = { ...(await writeImage(store.content, 'one')), annotations: { a: 'b' } };
      await store.names.set(APP, image);
      expect(await store.names.lookup(APP)).toMatchObject({ reference: APP, image });
      expect((await store.names.lookup(APP))?.image).toEqual(image);
      expect(await store.names.lookup('docker.io/library/app:v2')).toBeUndefined();
    });
    it('set: moves a name, and an image may have several', async () => {
      await using store = await open();
      const [one, two] = [await writeImage(store.content, 'one'), await writeImage(store.content, 'two')];
      await store.names.set(APP, one);
      await store.names.set(APP, two);
      await store.names.set('other.test/app:v1', two);
      expect((await store.names.list()).map(({ reference, image }) => [reference, image.digest])).toEqual([
        [APP, two.digest],
        ['other.test/app:v1', two.digest],
      ]);
    });
    it('set: refuses an image that is not there', async () => {
      await using store = await open();
      const absent = { mediaType: MediaTypes.manifest, digest: digestOf('absent'), size: 6 };
      expect(await codeOf(store.names.set(APP, absent))).toBe('BLOB_NOT_FOUND');
      expect(await store.names.list()).toEqual([]);
    });
    it('remove: says whether there was such a name', async () => {
      await using store = await open();
      await store.names.set(APP, await writeImage(store.content, 'one'));
      expect(await store.names.remove(APP)).toBe(true);
      expect(await store.names.remove(APP)).toBe(false);
      expect(await store.names.lookup(APP)).toBeUndefined();
    });
    it('set: many at once', async () => {
      await using store = await open();
      const image = await writeImage(store.content, 'one');
      const references = Array.from({ length: 20 }, (_, i) => `docker.io/library/app:${i}`);
      await Promise.all(references.map((reference) => store.names.set(reference, image)));
      expect((await store.names.list()).map(({ reference }) => reference).toSorted()).toEqual(references.toSorted());
    });
  });
}

async function writeImage(content: ContentStore, text: string): Promise<Descriptor> {
  return { mediaType: MediaTypes.manifest, ...(await content.write(Buffer.from(text))) };
}
