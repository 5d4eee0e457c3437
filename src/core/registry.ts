import type { Descriptor } from '../oci/descriptor.ts';
import type { Reference } from '../oci/reference.ts';
import type { BlobInfo } from './content.ts';

/** A registry as the distribution-spec has it; one object speaks to all registries, with mirrors and credentials as configured. */
export interface Registry extends AsyncDisposable {
  /** What a tag or digest names now, without its body; `undefined` where there is none. @throws REGISTRY_UNREACHABLE, REGISTRY_REFUSED */
  resolve(reference: Reference, o?: { readonly signal?: AbortSignal | undefined }): Promise<Descriptor | undefined>;
  /** A manifest, index or other small document by digest; size and digest verified. @throws IMAGE_NOT_FOUND, DIGEST_MISMATCH … */
  fetchManifest(
    reference: Reference,
    descriptor: Descriptor,
    o?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Uint8Array>;
  /** A blob's bytes; the caller verifies while it stores them. */
  fetchBlob(
    reference: Reference,
    blob: BlobInfo,
    o?: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
  /** Whether the repository has the blob. */
  hasBlob(reference: Reference, blob: BlobInfo, o?: { readonly signal?: AbortSignal | undefined }): Promise<boolean>;
  /** Uploads a blob (mounting it from `mountFrom`, a repository of the same registry, where that works). `open` may be called again for a retry. */
  pushBlob(
    reference: Reference,
    blob: BlobInfo,
    o: {
      readonly open: () => AsyncIterable<Uint8Array>;
      readonly mountFrom?: string | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<void>;
  /** Publishes a manifest under the reference's tag or, without one, its digest. */
  pushManifest(
    reference: Reference,
    descriptor: Descriptor,
    bytes: Uint8Array,
    o?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
}
