import type { ContentStore } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import type { ImportedCache } from '../core/imported-cache.ts';
import type { CacheImage } from './cache-image.ts';
import type { BlobReader } from './image-blobs.ts';
import { verifyBytes } from './verify-bytes.ts';

/** The blobs of a cache image: documents from memory, layers from the content store or, not stored on the way, from where they were imported. */
export function cacheReader(
  content: ContentStore,
  { documents }: Pick<CacheImage, 'documents'>,
  imported: Pick<ImportedCache, 'openBlob'> | undefined,
): BlobReader {
  return {
    lookup: (digest) => content.lookup(digest),
    readDocument: async (blob) => documents.get(blob.digest) ?? content.readDocument(blob),
    async *read(blob, o = {}) {
      const document = documents.get(blob.digest);
      if (document !== undefined) yield document;
      else if ((await content.lookup(blob.digest)) !== undefined) yield* content.read(blob, o);
      else {
        // What comes from where it was imported has not been looked at yet.
        const bytes = imported?.openBlob(blob.digest, o.signal) ?? missing(blob.digest);
        yield* verifyBytes(bytes, { what: 'an imported blob', expected: blob.digest });
      }
    },
  };
}

function missing(digest: string): never {
  throw new BuildError('BLOB_NOT_FOUND', { digest });
}
