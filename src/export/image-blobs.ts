import type { ContentStore } from '../core/content.ts';
import { BuildError, isBuildError, messageOf } from '../core/error.ts';
import { decodeManifest } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { blobsOf, type ImageDocument, imageDocumentDecoder } from '../oci/image-document.ts';
import { FormatError } from '../oci/format-error.ts';
import type { Manifest } from '../oci/manifest.ts';

/** Blobs as those see them who only read. */
export type BlobReader = Pick<ContentStore, 'lookup' | 'read' | 'readDocument'>;

/** Blobs as those see them who only look for what refers to what. */
export type DocumentReader = Pick<BlobReader, 'lookup' | 'readDocument'>;

/** An image or index with everything that it consists of. */
export interface ImageBlobs {
  /** Every blob once, whatever it is made of before it. */
  readonly blobs: readonly Descriptor[];
  /** The platforms' manifests in the index' order, or the one manifest. */
  readonly manifests: readonly { readonly descriptor: Descriptor; readonly manifest: Manifest }[];
}

/** Indexes within indexes are allowed by the specification, and a way to keep a program busy. */
const MAX_DEPTH = 4;

/**
 * All that `root` refers to, found by reading its documents.
 * @param partial what to do about an index' manifest that is not in the store, as in `docker save` of one platform of several.
 * @throws BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID
 */
export async function imageBlobs(
  content: DocumentReader,
  root: Descriptor,
  partial: 'refuse' | 'skip',
): Promise<ImageBlobs> {
  const blobs = new Map<string, Descriptor>();
  const manifests: { readonly descriptor: Descriptor; readonly manifest: Manifest }[] = [];
  const visit = async (descriptor: Descriptor, depth: number): Promise<void> => {
    if (blobs.has(descriptor.digest)) return;
    if (depth > MAX_DEPTH) throw invalid(descriptor, `indexes are nested more than ${MAX_DEPTH} deep`);
    const document = await readImageDocument(content, descriptor);
    if (document?.kind === 'index') {
      for (const child of blobsOf(document)) {
        if (partial === 'skip' && (await content.lookup(child.digest)) === undefined) continue;
        await visit(child, depth + 1);
      }
    } else if (document?.kind === 'manifest') {
      for (const blob of blobsOf(document)) blobs.set(blob.digest, blob);
      manifests.push({ descriptor, manifest: document.manifest });
    }
    blobs.set(descriptor.digest, descriptor);
  };
  await visit(root, 0);
  return { blobs: [...blobs.values()], manifests };
}

/** The manifest that `descriptor` points to. @throws BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID */
export async function readManifest(content: DocumentReader, descriptor: Descriptor): Promise<Manifest> {
  const manifest = await readDecoded(content, descriptor, decodeManifest);
  checkMediaType(descriptor, manifest.mediaType);
  return manifest;
}

/** Decodes the document that `descriptor` points to. @throws BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID */
export async function readDecoded<T>(
  content: DocumentReader,
  descriptor: Descriptor,
  decode: (bytes: Uint8Array) => T,
): Promise<T> {
  try {
    return decode(await content.readDocument(descriptor));
  } catch (error) {
    if (error instanceof FormatError) throw invalid(descriptor, error.message, error);
    if (isBuildError(error)) throw error;
    throw invalid(descriptor, messageOf(error), error);
  }
}

/** The index or manifest that `descriptor` points to; `undefined` where it points to something else. */
async function readImageDocument(content: DocumentReader, descriptor: Descriptor): Promise<ImageDocument | undefined> {
  const decode = imageDocumentDecoder(descriptor.mediaType);
  if (decode === undefined) return undefined;
  const document = await readDecoded(content, descriptor, decode);
  if (document.kind === 'index') checkMediaType(descriptor, document.index.mediaType);
  if (document.kind === 'manifest') checkMediaType(descriptor, document.manifest.mediaType);
  return document;
}

/** One document must not be a manifest to some and an index to others (CVE-2021-41190). */
function checkMediaType(descriptor: Descriptor, mediaType: string | undefined): void {
  if (mediaType === undefined || mediaType === descriptor.mediaType) return;
  throw invalid(descriptor, `it says that it is ${mediaType}, and its descriptor ${descriptor.mediaType}`);
}

function invalid(descriptor: Descriptor, reason: string, cause?: unknown): BuildError {
  return new BuildError('DOCUMENT_INVALID', { what: descriptor.digest, reason }, { cause });
}
