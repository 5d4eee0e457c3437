import { BuildError } from '../core/error.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestHex } from '../oci/digest.ts';
import type { Index } from '../oci/manifest.ts';
import { MediaTypes } from '../oci/media-type.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';

/** An image to be exported, and the full references that it goes by. */
export interface ExportImage {
  readonly image: Descriptor;
  readonly names: readonly string[];
}

/** The file that makes a directory an image layout (image-spec image-layout.md), and its content. */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT_TEXT = '{"imageLayoutVersion":"1.0.0"}';
/** The layout's list of images. */
export const INDEX_FILE = 'index.json';
/** The annotations by which programs find an image in a layout: the tag for most, the full name for containerd and docker. */
export const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';
export const NAME_ANNOTATION = 'io.containerd.image.name';

/** A blob's path in a layout. */
export function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

/** One entry per name, or one without a name. @throws REFERENCE_INVALID */
export function layoutEntries(images: readonly ExportImage[]): readonly Descriptor[] {
  return images.flatMap(({ image, names }) => {
    if (names.length === 0) return [image];
    return names.map((name) => {
      const reference = toReference(name);
      const { tag = reference.digest === undefined ? 'latest' : undefined } = reference;
      const named = {
        [NAME_ANNOTATION]: formatReference(reference),
        ...(tag !== undefined && { [TAG_ANNOTATION]: tag }),
      };
      return { ...image, annotations: { ...image.annotations, ...named } };
    });
  });
}

/** The bytes of index.json. */
export function encodeLayoutIndex(manifests: readonly Descriptor[]): Buffer {
  const index: Index = { schemaVersion: 2, mediaType: MediaTypes.index, manifests };
  return Buffer.from(canonicalJson(index));
}

/** The parts of a name. @throws REFERENCE_INVALID */
export function toReference(name: string): Reference {
  const reference = parseReference(name);
  if (reference === undefined) throw new BuildError('REFERENCE_INVALID', { reference: name });
  return reference;
}
