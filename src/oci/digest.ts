import { createHash, type Hash } from 'node:crypto';
import type { Brand } from './brand.ts';

/** `sha256:` and 64 lower-case hex digits (image-spec descriptor.md#digests). The only algorithm that tsbuild writes or accepts. */
export type Digest = `sha256:${string}` & Brand<'Digest'>;

const GRAMMAR = /^sha256:[a-f0-9]{64}$/;

/** Whether `text` is a digest that may become part of a path or a URL. */
export function isDigest(text: string): text is Digest {
  return GRAMMAR.test(text);
}

/** The digest that `text` spells, or `undefined` where it breaks the grammar: check before any use in a path (CVE-2024-3727). */
export function parseDigest(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined;
}

/** The 64 hex digits of `digest`: its file name below `blobs/sha256/`. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** The sha256 of `bytes`; a string counts as its UTF-8 bytes. */
export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

/** The digest and the size of the whole of `bytes`, as a descriptor has them. */
export function sizedDigestOf(bytes: Uint8Array): { readonly digest: Digest; readonly size: number } {
  return { digest: digestOf(bytes), size: bytes.byteLength };
}

/** A running sha256 with the count of bytes it has seen. */
export class Digester {
  readonly #hash: Hash = createHash('sha256');
  #size = 0;

  /** Adds `chunk`, which may be reused by the caller afterwards. */
  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#size += chunk.byteLength;
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size;
  }

  /** The digest of all bytes seen; the digester is finished afterwards. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }
}
