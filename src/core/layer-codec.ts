import type { Digest } from '../oci/digest.ts';
import type { LayerId, LayerStack } from './snapshot.ts';

/** An uncompressed layer tar: its sha256 and its length in bytes. */
export interface LayerTar {
  readonly diffId: Digest;
  readonly size: number;
}

/** Turns layers into layer tars (image-spec layer.md) and back. */
export interface LayerCodec {
  /**
   * Unpacks an uncompressed layer tar into a new committed layer on `lower`; hard links may name files of `lower`.
   * Hostile input is expected: paths stay inside the layer, sizes and counts are capped.
   * @throws LAYER_INVALID, STORE_FULL; the layer is then not there.
   */
  apply(
    tar: AsyncIterable<Uint8Array>,
    lower: LayerStack,
    o?: { readonly signal?: AbortSignal | undefined },
  ): Promise<LayerTar & { readonly layer: LayerId }>;
  /**
   * Writes what `layer` changed on `lower` as an uncompressed tar to the new file `to` (not synced to disk).
   * Entries in byte order; parents before children; explicit whiteouts; reproducible from the layer alone.
   * @param o.epochSeconds later mtimes become this one (SOURCE_DATE_EPOCH with rewrite-timestamp).
   */
  writeTar(
    layer: LayerId,
    lower: LayerStack,
    o: { readonly to: string; readonly epochSeconds?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<LayerTar>;
}
