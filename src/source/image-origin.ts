import type { BlobInfo } from '../core/content.ts';
import type { Registry } from '../core/registry.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Reference } from '../oci/reference.ts';

/** Where the bytes of one image can be had while they are not in the store. */
export interface ImageOrigin {
  /** A manifest, index or config. @throws IMAGE_NOT_FOUND, DIGEST_MISMATCH */
  document(descriptor: Descriptor, signal?: AbortSignal): Promise<Uint8Array>;
  /** A layer's blob; whoever stores it verifies it. */
  blob(blob: BlobInfo, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** The repository of `reference`. The registry is opened when something is first asked for. */
export function registryOrigin(registry: () => Registry, reference: Reference): ImageOrigin {
  return {
    document: (descriptor, signal) => registry().fetchManifest(reference, descriptor, { signal }),
    blob: (blob, signal) => registry().fetchBlob(reference, blob, { signal }),
  };
}
