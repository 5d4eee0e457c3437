import type { CacheConfigRecord } from '../oci/cache-config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Compression } from '../oci/media-type.ts';
import type { HistoryEntry, ImageConfig } from '../oci/image-config.ts';
import type { LayerStack } from './snapshot.ts';
import type { ResolvedImage } from './source.ts';

/**
 * An image as the frontend draws it, before its layers are known: config without `rootfs`, history complete and in order.
 * Non-empty history entries stand for the stack's layers one to one. Entries of this build have no `created`: assembly fills it
 * with the time their layer was made, so that a cached rebuild gives the same digest.
 */
export interface ImageDraft {
  readonly config: Omit<ImageConfig, 'rootfs' | 'history' | 'created'>;
  readonly history: readonly HistoryEntry[];
}

/** What assembly needs for one platform's image. */
export interface AssembleRequest {
  readonly draft: ImageDraft;
  readonly stack: LayerStack;
  /** The base image whose layers are the lowest of the stack: their blobs are reused as they are. */
  readonly bases: readonly ResolvedImage[];
  readonly compression: Compression;
  readonly compressionLevel?: number;
  /** `force`: base layers are compressed anew as well. */
  readonly recompress: 'own' | 'force';
  readonly mediaTypes: 'oci' | 'docker';
  /** SOURCE_DATE_EPOCH: `created` of image and history. */
  readonly epochSeconds?: number;
  /** Clamp file times in the layers of this build to `epochSeconds`. */
  readonly timestamps: 'keep' | 'rewrite';
  readonly annotations: Readonly<Record<string, string>>;
  /** Records whose layers are the stack's, to be put into the config. */
  readonly inlineCache?: readonly CacheConfigRecord[];
}

/** An image whose every blob is in the content store. */
export interface AssembledImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}
