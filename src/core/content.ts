import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/** Bytes and where they are addressed. */
export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** A file being filled that will become a blob; disposing it without `commit` removes it. */
export interface BlobDraft extends AsyncDisposable {
  /** A fresh path on the store's file system; the writer creates the file there. */
  readonly path: string;
  /** Publishes the file as the blob `info`, which the writer has computed while writing; syncs it to disk first. Already there is fine. */
  commit(info: BlobInfo): Promise<void>;
}

/** Content-addressed blobs. */
export interface ContentStore {
  /** The blob's size, or `undefined` where it is not there. */
  lookup(digest: Digest): Promise<BlobInfo | undefined>;
  /** The bytes, in order, from `offset`; digest and size are verified at the end of a whole read. @throws BLOB_NOT_FOUND, DIGEST_MISMATCH */
  read(blob: BlobInfo | Descriptor, o?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<Uint8Array>;
  /** All bytes of a small document. @throws BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID beyond 4 MiB */
  readDocument(blob: BlobInfo | Descriptor): Promise<Uint8Array>;
  /** The absolute path of the blob's file, for readers that can be trusted not to change it. */
  path(digest: Digest): string;
  /** Stores `bytes`; nothing appears unless it is whole and, where `expected` is given, equal to it. @throws DIGEST_MISMATCH, STORE_FULL */
  write(
    bytes: AsyncIterable<Uint8Array> | Uint8Array,
    o?: {
      readonly expected?: Digest | undefined;
      readonly expectedSize?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<BlobInfo>;
  /** A place for a writer that hashes by itself. */
  draft(): Promise<BlobDraft>;
  /** Removes a blob; absent is fine. */
  remove(digest: Digest): Promise<void>;
  /** All blobs. */
  list(): AsyncIterable<BlobInfo>;
}
