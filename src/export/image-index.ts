import type { ContentStore } from '../core/content.ts';
import { encodeDocument } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Index } from '../oci/manifest.ts';
import { MediaTypes } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';

/** The images of several platforms to be joined; order is kept. */
export interface ImageIndexRequest {
  readonly images: readonly { readonly manifest: Descriptor; readonly platform: Platform }[];
  readonly mediaTypes: 'oci' | 'docker';
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Stores the index (image-spec image-index.md) that names one manifest per platform. @throws STORE_FULL */
export async function writeImageIndex(content: ContentStore, request: ImageIndexRequest): Promise<Descriptor> {
  const mediaType = request.mediaTypes === 'docker' ? MediaTypes.dockerIndex : MediaTypes.index;
  const annotations = request.annotations ?? {};
  const index: Index = {
    schemaVersion: 2,
    mediaType,
    manifests: request.images.map(({ manifest, platform }) => ({ ...manifest, platform })),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  return { mediaType, ...(await content.write(encodeDocument(index))) };
}
