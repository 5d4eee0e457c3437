import type { ContentStore } from '../core/content.ts';
import { isBuildError } from '../core/error.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { LayoutNames } from './image-names.ts';
import { markImages } from './mark.ts';

/** What is wrong with one thing in the store. */
export interface StoreProblem {
  /** A blob's digest, or the name of an image. */
  readonly what: string;
  readonly reason: string;
}

/**
 * Reads the whole store: every blob must be what its name says, and everything that a named image refers to must be there.
 * An index' platforms that were never fetched are no problem; a manifest without one of its blobs is.
 */
export async function verifyStore(
  { content, names }: { readonly content: ContentStore; readonly names: LayoutNames },
  o: { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly StoreProblem[]> {
  const problems: StoreProblem[] = [];
  const present = new Set<Digest>();
  for await (const blob of content.list()) {
    const reason = await readThrough(content.read(blob, o));
    if (reason === undefined) present.add(blob.digest);
    else problems.push({ what: blob.digest, reason });
  }
  for (const { reference, image } of await names.list()) {
    const missing = await missingBelow(content, image, present);
    problems.push(...missing.map((digest) => ({ what: reference, reason: `${digest} is missing or damaged` })));
  }
  return problems;
}

async function readThrough(bytes: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  try {
    for await (const _ of bytes) continue;
    return undefined;
  } catch (error) {
    if (isBuildError(error)) return error.message;
    throw error;
  }
}

/** The image itself if it is not there, and whatever its manifests lack. */
async function missingBelow(
  content: ContentStore,
  image: Descriptor,
  present: ReadonlySet<Digest>,
): Promise<readonly Digest[]> {
  const { required } = await markImages(content, [image]);
  return [image.digest, ...required].filter((digest) => !present.has(digest));
}
