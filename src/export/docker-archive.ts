import type { ContentStore } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { familiarReference, formatReference, parseReference } from '../oci/reference.ts';
import { packTar } from '../oci/tar-writer.ts';
import { archiveEntries } from './archive-entries.ts';
import { imageBlobs } from './image-blobs.ts';
import {
  blobPath,
  encodeLayoutIndex,
  type ExportImage,
  INDEX_FILE,
  LAYOUT_FILE,
  LAYOUT_TEXT,
  layoutEntries,
  toReference,
} from './layout-files.ts';
import { allBlobs } from './oci-layout.ts';
import { type OutputPlace, writeOutput } from './output-file.ts';

/** What to export for `docker load`, and where to. */
export interface DockerArchiveRequest extends OutputPlace {
  readonly images: readonly ExportImage[];
  readonly signal?: AbortSignal | undefined;
}

/** One image in manifest.json, the list that `docker load` reads; paths are the archive's. */
interface ArchivedImage {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

/**
 * Writes images as an archive that `docker load` and `podman load` take: manifest.json, and the same blobs as an OCI layout.
 * @throws OUTPUT_INVALID for an image of several platforms, which the format cannot hold; OUTPUT_FAILED, BLOB_NOT_FOUND, DIGEST_MISMATCH
 */
export async function exportDockerArchive(content: ContentStore, request: DockerArchiveRequest): Promise<void> {
  const archived = await Promise.all(request.images.map((image) => describe(content, image)));
  const files = [
    [LAYOUT_FILE, Buffer.from(LAYOUT_TEXT)],
    [INDEX_FILE, encodeLayoutIndex(layoutEntries(request.images))],
    ['manifest.json', Buffer.from(canonicalJson(archived))],
  ] as const;
  const blobs = await allBlobs(content, request.images);
  return writeOutput(request, packTar(archiveEntries(files, blobs, { content, signal: request.signal })));
}

async function describe(content: ContentStore, { image, names }: ExportImage): Promise<ArchivedImage> {
  const { manifests } = await imageBlobs(content, image, 'skip');
  const [first, ...more] = manifests;
  if (first === undefined || more.length > 0) {
    const reason = `a docker archive holds one platform, and this image has ${manifests.length}: use type=oci`;
    throw new BuildError('OUTPUT_INVALID', { output: 'type=docker', reason });
  }
  return {
    Config: blobPath(first.manifest.config.digest),
    RepoTags: names.flatMap((name) => repoTag(name)),
    Layers: first.manifest.layers.map(({ digest }) => blobPath(digest)),
  };
}

/** The name as docker writes it (`app:v1`); a name by digest is no tag. */
function repoTag(name: string): readonly string[] {
  const { digest: _, ...reference } = toReference(name);
  if (reference.tag === undefined && name.includes('@')) return [];
  const full = parseReference(formatReference(reference));
  return full === undefined ? [] : [familiarReference(full)];
}
