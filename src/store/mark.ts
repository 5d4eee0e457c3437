import type { ContentStore } from '../core/content.ts';
import { isBuildError } from '../core/error.ts';
import { decodeImageConfig, decodeIndex, decodeManifest, MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import { isIndexType, isManifestType, MediaTypes } from '../oci/media-type.ts';

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
    const found = await childrenOf(content, next);
    pending.push(...found.blobs);
    if (isManifestType(next.mediaType)) for (const { digest } of found.blobs) required.add(digest);
    for (const diffId of found.diffIds) diffIds.add(diffId);
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
    const { blobs, diffIds } = await childrenOf(content, { ...blob, mediaType });
    if (blobs.length + diffIds.length > 0) return { ...blob, mediaType };
  }
  return undefined;
}

interface Children {
  readonly blobs: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

const NONE: Children = { blobs: [], diffIds: [] };

async function childrenOf(content: Pick<ContentStore, 'readDocument'>, parent: Descriptor): Promise<Children> {
  const decode = decoderFor(parent.mediaType);
  if (decode === undefined) return NONE;
  try {
    return decode(await content.readDocument(parent));
  } catch (error) {
    if (error instanceof FormatError) return NONE;
    if (isBuildError(error) && ['BLOB_NOT_FOUND', 'DIGEST_MISMATCH', 'DOCUMENT_INVALID'].includes(error.code))
      return NONE;
    throw error;
  }
}

function decoderFor(mediaType: string): ((bytes: Uint8Array) => Children) | undefined {
  if (isIndexType(mediaType)) return (bytes) => ({ blobs: decodeIndex(bytes).manifests, diffIds: [] });
  if (isManifestType(mediaType)) {
    return (bytes) => {
      const { config, layers } = decodeManifest(bytes);
      return { blobs: [config, ...layers], diffIds: [] };
    };
  }
  if (mediaType !== MediaTypes.config && mediaType !== MediaTypes.dockerConfig) return undefined;
  return (bytes) => ({ blobs: [], diffIds: decodeImageConfig(bytes).rootfs.diff_ids });
}
