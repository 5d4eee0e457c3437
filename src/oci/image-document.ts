import { decodeImageConfig, decodeIndex, decodeManifest } from './decode.ts';
import type { ImageConfig } from './image-config.ts';
import type { Descriptor } from './descriptor.ts';
import type { Index, Manifest } from './manifest.ts';
import { isIndexType, isManifestType, MediaTypes } from './media-type.ts';

/** A document that an image is made of. */
export type ImageDocument =
  | { readonly kind: 'index'; readonly index: Index }
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'config'; readonly config: ImageConfig };

/** How bytes of this media type are read; `undefined` for one that refers to nothing, such as a layer's. What it gives throws FormatError. */
export function imageDocumentDecoder(mediaType: string): ((bytes: Uint8Array) => ImageDocument) | undefined {
  if (isIndexType(mediaType)) return (bytes) => ({ kind: 'index', index: decodeIndex(bytes) });
  if (isManifestType(mediaType)) return (bytes) => ({ kind: 'manifest', manifest: decodeManifest(bytes) });
  if (mediaType !== MediaTypes.config && mediaType !== MediaTypes.dockerConfig) return undefined;
  return (bytes) => ({ kind: 'config', config: decodeImageConfig(bytes) });
}

/** The blobs that a document refers to, in its order: of a manifest the config first. */
export function blobsOf(document: ImageDocument): readonly Descriptor[] {
  switch (document.kind) {
    case 'index':
      return document.index.manifests;
    case 'manifest':
      return [document.manifest.config, ...document.manifest.layers];
    case 'config':
      return [];
  }
}
