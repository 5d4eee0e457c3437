import type { ImageNames } from '../core/cache.ts';
import type { ContentStore } from '../core/content.ts';
import { decodeIndex, decodeManifest, MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import { MediaTypes } from '../oci/media-type.ts';
import { formatReference, type Reference } from '../oci/reference.ts';

/**
 * What the store has for `reference`: by its name, or, for a pinned reference, whatever has that digest, since its content is what
 * was asked for wherever it came from.
 */
export async function storedRoot(
  { names, content }: { readonly names: ImageNames; readonly content: ContentStore },
  reference: Reference,
): Promise<Descriptor | undefined> {
  if (reference.digest !== undefined) return storedDocument(content, reference.digest);
  const image = (await names.lookup(formatReference(reference)))?.image;
  return image === undefined ? undefined : { mediaType: image.mediaType, digest: image.digest, size: image.size };
}

/** A manifest or index without descriptor: what it is has to be read from itself. */
async function storedDocument(content: ContentStore, digest: Digest): Promise<Descriptor | undefined> {
  const blob = await content.lookup(digest);
  if (blob === undefined || blob.size > MAX_DOCUMENT_BYTES) return undefined;
  const bytes = await content.readDocument(blob);
  const mediaType =
    mediaTypeBy(decodeManifest, bytes, MediaTypes.manifest) ?? mediaTypeBy(decodeIndex, bytes, MediaTypes.index);
  return mediaType === undefined ? undefined : { ...blob, mediaType };
}

function mediaTypeBy(
  decode: (bytes: Uint8Array) => { readonly mediaType?: string },
  bytes: Uint8Array,
  otherwise: string,
): string | undefined {
  try {
    return decode(bytes).mediaType ?? otherwise;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
