import type { ImageNames, NamedImage } from '../../src/core/cache.ts';
import type { ContentStore } from '../../src/core/content.ts';
import { BuildError } from '../../src/core/error.ts';

/** Names that live as long as the test. */
export function memoryImageNames(content: Pick<ContentStore, 'lookup'>): ImageNames {
  const names = new Map<string, NamedImage>();
  return {
    lookup: async (reference) => names.get(reference),
    list: async () => [...names.values()],
    set: async (reference, image) => {
      if (names.get(reference)?.image.digest === image.digest) return;
      if ((await content.lookup(image.digest)) === undefined)
        throw new BuildError('BLOB_NOT_FOUND', { digest: image.digest });
      names.set(reference, { reference, image, createdMs: Date.now() });
    },
    remove: async (reference) => names.delete(reference),
  };
}
