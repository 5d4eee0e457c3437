import { type Compression, layerMediaType, MediaTypes } from '../oci/media-type.ts';

/** The layer media type of `compression` in the manifest's family, or `undefined` where that family has none. */
export function familyMediaType(compression: Compression, family: 'oci' | 'docker'): string | undefined {
  if (family === 'oci') return layerMediaType(compression);
  switch (compression) {
    case 'uncompressed':
      return MediaTypes.dockerLayer;
    case 'gzip':
      return MediaTypes.dockerLayerGzip;
    case 'zstd':
      return undefined;
  }
}
