import type { Brand } from '../oci/brand.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { LayerId, LayerStack } from './snapshot.ts';

/** A recipe key or a result key: the digest of labelled fields (see solver/cache-key.ts). */
export type CacheKey = Digest & Brand<'CacheKey'>;

/** The result of a step that ran once. */
export interface CacheRecord {
  readonly stack: LayerStack;
  /** When the step ran. */
  readonly createdMs: number;
  /** How long it took. */
  readonly durationMs: number;
  /** The labelled fields of the key, as JSON. */
  readonly fields: string;
}

/** What a step was made of when a build last finished it. */
export interface StepRecord {
  /** The stage's name, or its number as text. */
  readonly stage: string;
  /** Counts the steps of the stage that make layers, from 0. */
  readonly position: number;
  /** The instruction as progress shows it, without `[stage 1/2]`. */
  readonly text: string;
  /** What its recipe key was made from, labelled, as JSON (solver/step-trace.ts). */
  readonly trace: string;
  /** How long it took when it last ran; absent where nobody knows. */
  readonly durationMs?: number;
}

/** What is known of a committed layer. */
export interface LayerInfo {
  readonly layer: LayerId;
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
  readonly createdMs: number;
}

const PULLED = 'pulled:';

/** What stands for the compression options of a blob that was not made here: it came with an image or a cache. */
export function pulledAs(blob: Digest): string {
  return PULLED + blob;
}

/** Whether `compression` is what `pulledAs` gives. */
export function isPulled(compression: string): boolean {
  return compression.startsWith(PULLED);
}

/** Remembers results of steps, and what layers look like from outside. May be lost without losing an image. Shared by many processes. */
export interface CacheIndex {
  lookup(key: CacheKey): Promise<CacheRecord | undefined>;
  record(keys: readonly CacheKey[], record: CacheRecord): Promise<void>;
  /**
   * Remembers steps for `explain` and `plan`, in place of those with the same stage and position. `build` says which Dockerfile of which
   * context for which platform. Where a duration is absent the one known before stays.
   */
  recordSteps(build: string, steps: readonly StepRecord[]): Promise<void>;
  /** All steps remembered of `build`, by stage and position. */
  lookupSteps(build: string): Promise<readonly StepRecord[]>;

  lookupLayer(layer: LayerId): Promise<LayerInfo | undefined>;
  recordLayer(info: LayerInfo): Promise<void>;
  /** The blob made from a layer's tar with these compression options (`gzip:6`, or `pulledAs`), if it was made before. */
  lookupBlob(diffId: Digest, compression: string): Promise<Descriptor | undefined>;
  recordBlob(diffId: Digest, compression: string, blob: Descriptor): Promise<void>;
  /** The diff ID of a compressed blob that was unpacked before. */
  lookupBlobDiffId(blob: Digest): Promise<Digest | undefined>;
}

/** The names of images in the store. */
export interface ImageNames {
  /** The image that a full reference (`docker.io/library/app:v1`) names. */
  lookup(reference: string): Promise<NamedImage | undefined>;
  list(): Promise<readonly NamedImage[]>;
  /** Makes `reference` name `image`; what it named before loses the name. */
  set(reference: string, image: Descriptor): Promise<void>;
  /** @returns whether there was such a name. */
  remove(reference: string): Promise<boolean>;
}

/** A name and the manifest or index it stands for. */
export interface NamedImage {
  readonly reference: string;
  readonly image: Descriptor;
  readonly createdMs: number;
}
