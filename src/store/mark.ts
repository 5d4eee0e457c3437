import type { ContentStore } from '../core/content.ts';
import { isBuildError } from '../core/error.ts';
import { MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import { blobsOf, type ImageDocument, imageDocumentDecoder } from '../oci/image-document.ts';
import { MediaTypes } from '../oci/media-type.ts';

/** What images need: blobs by digest, and layers by the diff ID of what they hold. */
export interface Marked {
  readonly blobs: ReadonlySet<Digest>;
  /** Those that a manifest needs; what only an index names may be absent, as a platform that was never fetched is. */
  readonly required: ReadonlySet<Digest>;
  readonly diffIds: ReadonlySet<Digest>;
}

/** Everything that can be reached from `roots`. What is missing or unreadable has nothing below it, and is no reason to stop. */
export async function markImages(
  content: Pick<ContentStore, 'readDocument'>,
  roots: readonly Descriptor[],
): Promise<Marked> {
  const blobs = new Set<Digest>();
  const required = new Set<Digest>();
  const diffIds = new Set<Digest>();
  const pending = [...roots];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (blobs.has(next.digest)) continue;
    blobs.add(next.digest);
    const document = await readDocument(content, next);
    if (document === undefined) continue;
    pending.push(...blobsOf(document));
    if (document.kind === 'manifest') for (const { digest } of blobsOf(document)) required.add(digest);
    for (const diffId of diffIdsOf(document)) diffIds.add(diffId);
  }
  return { blobs, required, diffIds };
}

/** Takes a document for what it looks like: the manifest, index or config that a running build has written and not yet named. */
export async function guessDescriptor(
  content: Pick<ContentStore, 'readDocument'>,
  blob: { readonly digest: Digest; readonly size: number },
): Promise<Descriptor | undefined> {
  if (blob.size > MAX_DOCUMENT_BYTES) return undefined;
  for (const mediaType of [MediaTypes.manifest, MediaTypes.index, MediaTypes.config]) {
    const document = await readDocument(content, { ...blob, mediaType });
    if (document !== undefined && blobsOf(document).length + diffIdsOf(document).length > 0)
      return { ...blob, mediaType };
  }
  return undefined;
}

/** What `parent` refers to; what is missing or unreadable refers to nothing. */
async function readDocument(
  content: Pick<ContentStore, 'readDocument'>,
  parent: Descriptor,
): Promise<ImageDocument | undefined> {
  const decode = imageDocumentDecoder(parent.mediaType);
  if (decode === undefined) return undefined;
  try {
    return decode(await content.readDocument(parent));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    if (isBuildError(error) && ['BLOB_NOT_FOUND', 'DIGEST_MISMATCH', 'DOCUMENT_INVALID'].includes(error.code))
      return undefined;
    throw error;
  }
}

function diffIdsOf(document: ImageDocument): readonly Digest[] {
  return document.kind === 'config' ? document.config.rootfs.diff_ids : [];
}
