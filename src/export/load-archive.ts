import * as v from 'valibot';
import type { ImageNames } from '../core/cache.ts';
import type { BlobInfo, ContentStore } from '../core/content.ts';
import { BuildError, isErrno } from '../core/error.ts';
import { detectCompression } from '../oci/compression.ts';
import { decodeIndex, encodeDocument, MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseDigest } from '../oci/digest.ts';
import { FormatError } from '../oci/format-error.ts';
import type { Manifest } from '../oci/manifest.ts';
import { layerMediaType, MediaTypes } from '../oci/media-type.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import { archiveMembers } from './archive-members.ts';
import { ArchiveStaging } from './archive-staging.ts';
import { imageBlobs } from './image-blobs.ts';
import { INDEX_FILE, NAME_ANNOTATION, TAG_ANNOTATION } from './layout-files.ts';
import { validateImage } from './validate-image.ts';

/** Where loaded images go. */
export interface LoadPorts {
  readonly content: ContentStore;
  readonly names: ImageNames;
}

/** An archive: path of a file or directory, or a stream. */
export interface LoadRequest {
  readonly input: string | AsyncIterable<Uint8Array>;
  /** Replace the names in the archive, which must then hold one image. */
  readonly names?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** An image that is now in the store, under these full references. */
export interface LoadedImage {
  readonly image: Descriptor;
  readonly names: readonly string[];
}

const HEAD_BYTES = 6;
const DOCKER_LIST = 'manifest.json';
const dockerList = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.nullish(v.array(v.string()), []),
    Layers: v.nullish(v.array(v.string()), []),
  }),
);

/**
 * Takes in a docker archive, an OCI archive (both perhaps compressed with gzip or zstd) or an image layout directory; which one it is
 * shows in its content. Nothing of it is trusted: digests, sizes, diff IDs and their counts are verified before the first blob
 * is published, and only blobs that an image refers to are.
 * @throws ARCHIVE_INVALID, STORE_FULL, REFERENCE_INVALID
 */
export async function loadArchive(ports: LoadPorts, request: LoadRequest): Promise<readonly LoadedImage[]> {
  const name = typeof request.input === 'string' ? request.input : 'standard input';
  const refuse = (reason: string, cause?: unknown): BuildError =>
    new BuildError('ARCHIVE_INVALID', { path: name, reason }, { cause });
  await using staging = new ArchiveStaging(ports.content);
  try {
    await stageAll(staging, request, refuse);
    const found = renamed(await findImages(staging, refuse), request.names, refuse);
    for (const { image } of found) {
      const problems = await validateImage(staging, image, {
        digests: 'known',
        partial: 'skip',
        signal: request.signal,
      });
      if (problems[0] !== undefined) throw refuse(problems[0]);
    }
    for (const { image } of found) await staging.publish((await imageBlobs(staging, image, 'skip')).blobs);
    for (const { image, names } of found) for (const reference of names) await ports.names.set(reference, image);
    return found;
  } catch (error) {
    if (error instanceof FormatError) throw refuse(error.message, error);
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) throw new BuildError('STORE_FULL', { path: name }, { cause: error });
    throw error;
  }
}

type Refuse = (reason: string, cause?: unknown) => BuildError;

async function stageAll(staging: ArchiveStaging, request: LoadRequest, refuse: Refuse): Promise<void> {
  for await (const member of archiveMembers(request.input)) {
    request.signal?.throwIfAborted();
    const info = await staging.add(member);
    if (info === undefined) throw refuse(`it has two members ${JSON.stringify(member.path)}`);
    const promised = /^blobs\/sha256\/(?<hex>[^/]+)$/.exec(member.path)?.groups?.['hex'];
    if (promised !== undefined && member.kind === 'file' && info.digest !== parseDigest(`sha256:${promised}`)) {
      throw refuse(`${member.path} has digest ${info.digest}`);
    }
  }
}

async function findImages(staging: ArchiveStaging, refuse: Refuse): Promise<readonly LoadedImage[]> {
  const index = staging.find(INDEX_FILE);
  const list = staging.find(DOCKER_LIST);
  if (index !== undefined) {
    const images = await layoutImages(staging, index);
    return images.some(({ names }) => names.length > 0) || list === undefined
      ? images
      : dockerImages(staging, list, refuse);
  }
  if (list !== undefined) return dockerImages(staging, list, refuse);
  throw refuse(
    'it has neither an index.json nor a manifest.json; a root file system is taken in with FROM scratch and ADD',
  );
}

async function layoutImages(staging: ArchiveStaging, index: BlobInfo): Promise<readonly LoadedImage[]> {
  const images = new Map<string, LoadedImage>();
  for (const { annotations = {}, ...image } of decodeIndex(await readSmall(staging, index)).manifests) {
    const name = fullName(annotations[NAME_ANNOTATION] ?? annotations[TAG_ANNOTATION]);
    const names = images.get(image.digest)?.names ?? [];
    images.set(image.digest, { image, names: name === undefined ? names : [...names, name] });
  }
  return [...images.values()];
}

/** A bare tag, which is what most programs write, names no repository. */
function fullName(text: string | undefined): string | undefined {
  const reference = text !== undefined && /[/:]/.test(text) ? parseReference(text) : undefined;
  return reference === undefined ? undefined : formatReference(reference);
}

async function dockerImages(staging: ArchiveStaging, list: BlobInfo, refuse: Refuse): Promise<readonly LoadedImage[]> {
  const parsed = v.safeParse(dockerList, parseJson(await readSmall(staging, list)));
  if (!parsed.success) throw refuse(`${DOCKER_LIST}: ${parsed.issues[0].message}`);
  const images: LoadedImage[] = [];
  for (const { Config, RepoTags, Layers } of parsed.output) {
    const find = (path: string): BlobInfo => {
      const blob = staging.find(path);
      if (blob === undefined) throw refuse(`${DOCKER_LIST} names ${JSON.stringify(path)}, which is not there`);
      return blob;
    };
    const layers = await Promise.all(Layers.map((path) => describeLayer(staging, find(path), refuse)));
    const config = { mediaType: MediaTypes.config, ...find(Config) };
    const manifest: Manifest = { schemaVersion: 2, mediaType: MediaTypes.manifest, config, layers };
    const image = { mediaType: MediaTypes.manifest, ...(await staging.addDocument(encodeDocument(manifest))) };
    images.push({ image, names: RepoTags.flatMap((tag) => fullName(tag) ?? []) });
  }
  return images;
}

async function describeLayer(staging: ArchiveStaging, blob: BlobInfo, refuse: Refuse): Promise<Descriptor> {
  const compression = detectCompression(await staging.head(blob.digest, HEAD_BYTES));
  if (compression === 'bzip2' || compression === 'xz') throw refuse(`a layer is compressed with ${compression}`);
  return { mediaType: layerMediaType(compression), ...blob };
}

async function readSmall(staging: ArchiveStaging, blob: BlobInfo): Promise<Uint8Array> {
  if (blob.size > MAX_DOCUMENT_BYTES) throw new FormatError(`a list of images has ${blob.size} bytes`);
  return staging.readDocument(blob);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch (cause) {
    throw new FormatError(`${DOCKER_LIST} is not JSON`, { cause });
  }
}

function renamed(
  images: readonly LoadedImage[],
  names: readonly string[] | undefined,
  refuse: Refuse,
): readonly LoadedImage[] {
  const [first, ...more] = images;
  if (first === undefined) throw refuse('it holds no image');
  if (names === undefined) return images;
  if (more.length > 0) throw refuse(`it holds ${images.length} images, and names were given for one`);
  return [{ image: first.image, names }];
}
