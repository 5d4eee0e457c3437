import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Platform } from '../oci/platform.ts';
import type { LayerStack } from './snapshot.ts';
import type { LocalTree } from './tree.ts';

/** When a registry is asked although the store has an image of that name. */
export type PullPolicy = 'missing' | 'always' | 'never';

/** An image pinned to one manifest; nothing but the manifest and the config has been fetched. */
export interface ResolvedImage {
  /** The full reference with which it was found. */
  readonly reference: string;
  readonly manifest: Descriptor;
  readonly configDigest: Digest;
  readonly config: ImageConfig;
  /** Oldest first; as many as `config.rootfs.diff_ids`. */
  readonly layers: readonly Descriptor[];
}

/** Finds images in the store, in layouts and in registries. */
export interface ImageSource {
  /**
   * Pins a reference. `docker-image://` names, `oci-layout://PATH[:TAG|@DIGEST]` and plain references are understood.
   * Without a platform wish of the user (`strict: 'no'`) an image of another platform is accepted.
   * @throws IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, REFERENCE_INVALID, REGISTRY_UNREACHABLE, REGISTRY_REFUSED, DOCUMENT_INVALID
   */
  resolve(
    reference: string,
    o: {
      readonly platform: Platform;
      readonly strict: 'yes' | 'no';
      readonly pull: PullPolicy;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<ResolvedImage>;
  /** The layers of a manifest that `resolve` gave before, fetched and unpacked as far as they are not there; every digest and diff ID verified. */
  layers(
    manifest: Digest,
    o: {
      readonly progress?: (status: { readonly id: string; readonly current: number; readonly total: number }) => void;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<LayerStack>;
}

/** A file or tree fetched by URL, identified so that a key can name it. */
export interface FetchedTree {
  /** Equal for equal content and metadata. */
  readonly identity: Digest;
  /** A directory of the store; for http it holds the one file. Stays for the life of this process. */
  readonly tree: LocalTree;
}

/** Trees that were fetched, kept by identity for all builds on one store. What is found here stays while this process lives. */
export interface FetchedTrees {
  /** The tree's directory; `undefined` where it was never fetched, or has been pruned. */
  lookup(identity: Digest): Promise<string | undefined>;
  /** Moves the directory `draft` to where the tree is kept, and gives that; one that is there already is kept instead. @throws STORE_FULL */
  publish(identity: Digest, draft: string): Promise<string>;
}

/** Downloads files. */
export interface HttpSource {
  /** Fetches, or revalidates what was fetched before. @throws DOWNLOAD_FAILED, DIGEST_MISMATCH */
  fetch(o: {
    readonly url: string;
    readonly filename: string;
    readonly checksum?: Digest | undefined;
    readonly signal?: AbortSignal | undefined;
  }): Promise<FetchedTree>;
}

/** Checks out commits. */
export interface GitSource {
  /** @throws GIT_FAILED, DIGEST_MISMATCH */
  fetch(o: {
    readonly remote: string;
    readonly ref?: string | undefined;
    readonly subdir?: string | undefined;
    readonly checksum?: string | undefined;
    readonly submodules: 'recursive' | 'none';
    readonly gitDir: 'keep' | 'drop';
    readonly mtime?: 'checkout' | 'commit' | undefined;
    readonly signal?: AbortSignal | undefined;
  }): Promise<FetchedTree>;
}

/** The secrets and agents that the user handed to this build. */
export interface Secrets {
  /** The value, at most 500 KiB, or `undefined` where no such secret was given. */
  lookup(id: string): Promise<Uint8Array | undefined>;
  /** Every value seen so far, for masking output. */
  values(): readonly Uint8Array[];
  /** The host path of a socket that lets through what a step may ask an agent: for public keys and signatures. */
  lookupAgent(id: string): Promise<string | undefined>;
}
