import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import type { BlobDraft, BlobInfo, ContentStore } from '../core/content.ts';
import { BuildError } from '../core/error.ts';
import { MAX_DOCUMENT_BYTES } from '../oci/decode.ts';
import { type Digest, Digester, digestOf, sizedDigestOf } from '../oci/digest.ts';
import type { ArchiveMember } from './archive-members.ts';
import type { BlobReader } from './image-blobs.ts';
import { writeNewFile } from './output-file.ts';

interface StagedBlob {
  readonly info: BlobInfo;
  readonly draft: BlobDraft;
}

/** What an archive brought, kept apart from the store until it is known to be sound. Disposing drops whatever was not published. */
export class ArchiveStaging implements BlobReader, AsyncDisposable {
  readonly #content: ContentStore;
  readonly #byPath = new Map<string, StagedBlob>();
  readonly #byDigest = new Map<Digest, StagedBlob>();
  readonly #links = new Map<string, string>();

  constructor(content: ContentStore) {
    this.#content = content;
  }

  /** Takes a member in and hashes it on the way. @returns `undefined` for a path that was there before. */
  async add(member: ArchiveMember): Promise<BlobInfo | undefined> {
    if (this.#byPath.has(member.path) || this.#links.has(member.path)) return undefined;
    if (member.kind === 'link') {
      this.#links.set(member.path, member.target);
      return { digest: digestOf(''), size: 0 };
    }
    const digester = new Digester();
    const staged = await this.#stage(hashed(member.body, digester), () => ({
      digest: digester.digest(),
      size: digester.size,
    }));
    this.#byPath.set(member.path, staged);
    return staged.info;
  }

  /** Takes in a document that the archive implies. */
  async addDocument(bytes: Uint8Array): Promise<BlobInfo> {
    return (await this.#stage(bytes, () => sizedDigestOf(bytes))).info;
  }

  /** The member of this path, one link followed. */
  find(path: string): BlobInfo | undefined {
    return (this.#byPath.get(path) ?? this.#byPath.get(this.#links.get(path) ?? ''))?.info;
  }

  /** The first bytes of what `add` or `addDocument` took in. */
  async head(digest: Digest, bytes: number): Promise<Uint8Array> {
    const staged = this.#byDigest.get(digest);
    if (staged === undefined) throw new BuildError('BLOB_NOT_FOUND', { digest });
    await using file = await open(staged.draft.path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  }

  async lookup(digest: Digest): Promise<BlobInfo | undefined> {
    return this.#byDigest.get(digest)?.info ?? this.#content.lookup(digest);
  }

  read(blob: BlobInfo, o: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterable<Uint8Array> {
    const staged = this.#byDigest.get(blob.digest);
    if (staged === undefined) return this.#content.read(blob, o);
    return createReadStream(staged.draft.path, { highWaterMark: 1024 * 1024, ...(o.signal && { signal: o.signal }) });
  }

  async readDocument(blob: BlobInfo): Promise<Uint8Array> {
    const staged = this.#byDigest.get(blob.digest);
    if (staged === undefined) return this.#content.readDocument(blob);
    if (staged.info.size !== blob.size || blob.size > MAX_DOCUMENT_BYTES) {
      const reason = `it has ${staged.info.size} bytes, and its descriptor says ${blob.size}`;
      throw new BuildError('DOCUMENT_INVALID', { what: blob.digest, reason });
    }
    return readFile(staged.draft.path);
  }

  /** Moves blobs into the store, in this order; those that it has already stay as they are. */
  async publish(blobs: readonly BlobInfo[]): Promise<void> {
    for (const { digest } of blobs) {
      const staged = this.#byDigest.get(digest);
      if (staged !== undefined && (await this.#content.lookup(digest)) === undefined)
        await staged.draft.commit(staged.info);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = new Set([...this.#byPath.values(), ...this.#byDigest.values()]);
    await Promise.all([...all].map(({ draft }) => draft[Symbol.asyncDispose]()));
  }

  async #stage(bytes: AsyncIterable<Uint8Array> | Uint8Array, info: () => BlobInfo): Promise<StagedBlob> {
    const draft = await this.#content.draft();
    try {
      await writeNewFile(draft.path, bytes);
    } catch (error) {
      await draft[Symbol.asyncDispose]();
      throw error;
    }
    const staged = { info: info(), draft };
    this.#byDigest.set(staged.info.digest, staged);
    return staged;
  }
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, digester: Digester): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    digester.update(chunk);
    yield chunk;
  }
}
