import type { ContentStore } from '../core/content.ts';
import { BuildError, isBuildError } from '../core/error.ts';
import { decodeImageConfig, decodeIndex, decodeManifest } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { FormatError } from '../oci/format-error.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Index, Manifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType, layerCompression, MediaTypes } from '../oci/media-type.ts';
import { formatPlatform, type Platform, platformMatcher, selectPlatform } from '../oci/platform.ts';
import { unknownLayerType } from './image-layers.ts';
import type { ImageOrigin } from './image-origin.ts';

/** One platform's image: its manifest and config, both in the content store now. */
export interface PinnedImage {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** What to pin. */
export interface PinRequest {
  /** For messages. */
  readonly reference: string;
  /** The manifest or index that the reference names. */
  readonly root: Descriptor;
  readonly origin: ImageOrigin | undefined;
  readonly platform: Platform;
  readonly strict: 'yes' | 'no';
  readonly signal?: AbortSignal | undefined;
}

/** Indexes may point to indexes; nobody nests them deeper. */
const MAX_DEPTH = 3;
/** BuildKit's mark on manifests that describe another one instead of being an image. */
const ATTESTATION = 'vnd.docker.reference.type';

/**
 * The image for `platform` that `root` leads to; documents are taken from the store or fetched into it.
 * Each document has to be what its descriptor says, and cannot pass for anything else (CVE-2021-41190).
 * @throws PLATFORM_NOT_FOUND, DOCUMENT_INVALID, BLOB_NOT_FOUND without an origin, and what the origin throws
 */
export async function pinImage(content: ContentStore, o: PinRequest): Promise<PinnedImage> {
  const { descriptor, chosen } = await findManifest(content, o);
  const manifest = await read(content, o, { descriptor, decode: decodeManifest });
  if (manifest.config.mediaType !== MediaTypes.config && manifest.config.mediaType !== MediaTypes.dockerConfig) {
    throw invalid(
      o,
      `its config is of type ${JSON.stringify(manifest.config.mediaType.slice(0, 128))}: it is no image`,
    );
  }
  const foreign = manifest.layers.find(({ mediaType }) => layerCompression(mediaType) === undefined);
  if (foreign !== undefined) throw unknownLayerType(foreign);
  const config = await read(content, o, { descriptor: manifest.config, decode: decodeImageConfig });
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    const reason = `its manifest has ${manifest.layers.length} layers, its config ${config.rootfs.diff_ids.length}`;
    throw invalid(o, reason);
  }
  if (chosen === 'blindly' && o.strict === 'yes' && platformMatcher(o.platform).rank(config) === undefined) {
    throw noPlatform(o, [formatPlatform(config)]);
  }
  return { descriptor, manifest, config };
}

/** Goes down from the root to a manifest; `blindly` where nothing on the way named its platform. */
async function findManifest(
  content: ContentStore,
  o: PinRequest,
): Promise<{ readonly descriptor: Descriptor; readonly chosen: 'by platform' | 'blindly' }> {
  let descriptor = o.root;
  let chosen: 'by platform' | 'blindly' = 'blindly';
  for (let depth = 0; isIndexType(descriptor.mediaType); depth++) {
    if (depth === MAX_DEPTH) throw invalid(o, `it has indexes within indexes, more than ${MAX_DEPTH} deep`);
    const index = await read(content, o, { descriptor, decode: decodeIndex });
    descriptor = choose(index, o);
    if (descriptor.platform !== undefined) chosen = 'by platform';
  }
  if (!isManifestType(descriptor.mediaType)) {
    throw invalid(o, `it is of type ${JSON.stringify(descriptor.mediaType.slice(0, 128))}: no image`);
  }
  return { descriptor, chosen };
}

function choose(index: Index, o: PinRequest): Descriptor {
  const images = index.manifests.filter(isImage);
  const chosen = selectPlatform(images, o.platform);
  if (chosen !== undefined) return chosen;
  const [only] = images;
  if (o.strict === 'no' && only !== undefined && images.length === 1) return only;
  throw noPlatform(o, [
    ...new Set(images.flatMap(({ platform }) => (platform === undefined ? [] : formatPlatform(platform)))),
  ]);
}

function isImage({ mediaType, annotations, platform }: Descriptor): boolean {
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return false;
  return (
    annotations?.[ATTESTATION] === undefined && !(platform?.os === 'unknown' && platform.architecture === 'unknown')
  );
}

/** A document's bytes from the store; if they are not there, or have gone bad, they are fetched and stored. They are verified anyway. */
async function load(content: ContentStore, descriptor: Descriptor, o: PinRequest): Promise<Uint8Array> {
  try {
    if ((await content.lookup(descriptor.digest)) !== undefined) return await content.readDocument(descriptor);
  } catch (error) {
    if (!isBuildError(error, 'DIGEST_MISMATCH') || o.origin === undefined) throw error;
    await content.remove(descriptor.digest);
  }
  if (o.origin === undefined) throw new BuildError('BLOB_NOT_FOUND', { digest: descriptor.digest });
  const bytes = await o.origin.document(descriptor, o.signal);
  await content.write(bytes, { expected: descriptor.digest, signal: o.signal });
  return bytes;
}

interface Document<T> {
  readonly descriptor: Descriptor;
  readonly decode: (bytes: Uint8Array) => T;
}

async function read<T extends Manifest | Index | ImageConfig>(
  content: ContentStore,
  o: PinRequest,
  { descriptor, decode }: Document<T>,
): Promise<T> {
  const bytes = await load(content, descriptor, o);
  const document = decodeFor(o, bytes, decode);
  if ('mediaType' in document && document.mediaType !== undefined && document.mediaType !== descriptor.mediaType) {
    throw invalid(o, `${descriptor.digest} says it is ${document.mediaType}, its descriptor ${descriptor.mediaType}`);
  }
  return document;
}

function decodeFor<T>(o: PinRequest, bytes: Uint8Array, decode: Document<T>['decode']): T {
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new BuildError('DOCUMENT_INVALID', { what: `image ${o.reference}`, reason: error.message }, { cause: error });
  }
}

function invalid(o: PinRequest, reason: string): BuildError {
  return new BuildError('DOCUMENT_INVALID', { what: `image ${o.reference}`, reason });
}

function noPlatform({ reference, platform }: PinRequest, known: readonly string[]): BuildError {
  return new BuildError('PLATFORM_NOT_FOUND', { reference, platform: formatPlatform(platform), known });
}
