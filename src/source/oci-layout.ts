import { join, resolve } from 'node:path';
import type { BlobInfo } from '../core/content.ts';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import { decodeIndex, MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestHex, digestOf, sizedDigestOf, parseDigest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import type { Index } from '../oci/manifest.ts';
import { isIndexType, isManifestType, MediaTypes } from '../oci/media-type.ts';
import type { ImageOrigin } from './image-origin.ts';
import { openRegularFile, readRegularFile } from './regular-file.ts';

/** A place in an image layout: `oci-layout://PATH[:TAG][@DIGEST]`. */
export interface LayoutReference {
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/** What a layout has under a name, and where the rest of it is. */
export interface LayoutImage {
  readonly root: Descriptor;
  readonly origin: ImageOrigin;
}

const SCHEME = 'oci-layout://';
const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAME = 'io.containerd.image.name';
const CHUNK = 1024 * 1024;

/** Whether `reference` names an image layout. */
export function isLayoutReference(reference: string): boolean {
  return reference.startsWith(SCHEME);
}

/** The parts of `oci-layout://…`. @throws REFERENCE_INVALID for what is no digest, or has no path */
export function parseLayoutReference(reference: string): LayoutReference {
  const invalid = (): BuildError =>
    new BuildError('REFERENCE_INVALID', { reference }, { hint: 'write oci-layout://PATH[:TAG][@DIGEST]' });
  const [, rest = '', digestText] = /^(.*?)(?:@([^@/]*))?$/s.exec(reference.slice(SCHEME.length)) ?? [];
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  if (digestText !== undefined && digest === undefined) throw invalid();
  const [, path = '', tag] = /^(.*?)(?::([\w][\w.-]*))?$/s.exec(rest) ?? [];
  if (path === '') throw invalid();
  return { path, tag, digest };
}

/**
 * What `reference` names in its layout: a manifest, or an index, which may be the layout's own where that lists one image's platforms.
 * The layout is not trusted: names are made of checked digests only, and no link is followed to a file.
 * @throws IMAGE_NOT_FOUND, DOCUMENT_INVALID
 */
export async function openLayout(reference: string, cwd: string): Promise<LayoutImage> {
  return openLayoutAt(parseLayoutReference(reference), { reference, cwd });
}

/** As `openLayout`; `reference` is for messages. */
export async function openLayoutAt(
  { path, tag, digest }: LayoutReference,
  { reference, cwd }: { readonly reference: string; readonly cwd: string },
): Promise<LayoutImage> {
  const folder = resolve(cwd, path);
  const bytes = await readDocument(join(folder, 'index.json'), reference);
  const index = decodeLayoutIndex(bytes, join(folder, 'index.json'));
  const root = digest === undefined ? select(index, tag) : index.manifests.find((entry) => entry.digest === digest);
  if (root !== undefined) return { root, origin: layoutOrigin(folder, reference) };
  if (digest === undefined && tag === undefined && index.manifests.length > 0) {
    const own = { mediaType: MediaTypes.index, ...sizedDigestOf(bytes) };
    return { root: own, origin: layoutOrigin(folder, reference, { own, bytes }) };
  }
  throw new BuildError('IMAGE_NOT_FOUND', { reference, reason: `the layout has ${namesIn(index)}` });
}

/** Without a tag: the only image, else the one tagged `latest`. */
function select(index: Index, tag: string | undefined): Descriptor | undefined {
  const images = index.manifests.filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType));
  if (tag === undefined && images.length === 1) return images[0];
  return images.find((entry) => isTagged(entry, tag ?? 'latest'));
}

function isTagged({ annotations }: Descriptor, tag: string): boolean {
  // Writers differ: the tag alone, or the whole name.
  return [annotations?.[REF_NAME], annotations?.[IMAGE_NAME]].some((name) => name === tag || name?.endsWith(`:${tag}`));
}

function namesIn(index: Index): string {
  const names = index.manifests.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? []);
  return names.length === 0 ? 'no names' : `the names ${names.join(', ')}`;
}

function layoutOrigin(
  folder: string,
  reference: string,
  known?: { readonly own: Descriptor; readonly bytes: Uint8Array },
): ImageOrigin {
  const pathOf = (digest: Digest): string => join(folder, 'blobs/sha256', digestHex(digest));
  return {
    document: async (descriptor) => {
      if (descriptor.digest === known?.own.digest) return known.bytes;
      const bytes = await readDocument(pathOf(descriptor.digest), reference);
      const actual = digestOf(bytes);
      if (actual === descriptor.digest) return bytes;
      throw new BuildError('DIGEST_MISMATCH', { what: `${reference} blob`, expected: descriptor.digest, actual });
    },
    blob: (blob, signal) => readBlob(pathOf(blob.digest), { blob, reference, signal }),
  };
}

async function* readBlob(
  path: string,
  o: { readonly blob: BlobInfo; readonly reference: string; readonly signal: AbortSignal | undefined },
): AsyncIterable<Uint8Array> {
  await using file = await openRegularFile(path).catch((error: unknown) => {
    throw unreadable(error, o.reference, path);
  });
  for (let position = 0; ;) {
    o.signal?.throwIfAborted();
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function readDocument(path: string, reference: string): Promise<Buffer> {
  const bytes = await readRegularFile(path, MAX_DOCUMENT_BYTES).catch((error: unknown) => {
    throw unreadable(error, reference, path);
  });
  if (bytes !== undefined) return bytes;
  throw new BuildError('DOCUMENT_INVALID', { what: path, reason: `it is larger than ${MAX_DOCUMENT_BYTES} bytes` });
}

function decodeLayoutIndex(bytes: Uint8Array, path: string): Index {
  try {
    return decodeIndex(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new BuildError('DOCUMENT_INVALID', { what: path, reason: error.message }, { cause: error });
  }
}

function unreadable(error: unknown, reference: string, path: string): unknown {
  if (isErrno(error, 'ENOENT', 'ENOTDIR')) {
    return new BuildError('IMAGE_NOT_FOUND', { reference, reason: `there is no ${path}` }, { cause: error });
  }
  if (isErrno(error, 'ELOOP', 'EACCES', 'EISDIR')) {
    return new BuildError('IMAGE_NOT_FOUND', { reference, reason: messageOf(error) }, { cause: error });
  }
  return error;
}
