/** The media types that tsbuild reads or writes (image-spec media-types.md, and Docker's image manifest v2 schema 2). */
export const MediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  empty: 'application/vnd.oci.empty.v1+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

/** How the bytes of a layer blob are compressed. */
export type Compression = 'uncompressed' | 'gzip' | 'zstd';

/** Whether `mediaType` names an index (a manifest list in Docker's words). */
export function isIndexType(mediaType: string): boolean {
  return mediaType === MediaTypes.index || mediaType === MediaTypes.dockerIndex;
}

/** Whether `mediaType` names a single image's manifest. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === MediaTypes.manifest || mediaType === MediaTypes.dockerManifest;
}

/** The compression that a layer's media type promises, or `undefined` if it is no layer type known here. */
export function layerCompression(mediaType: string): Compression | undefined {
  switch (mediaType) {
    case MediaTypes.layer:
    case MediaTypes.dockerLayer:
      return 'uncompressed';
    case MediaTypes.layerGzip:
    case MediaTypes.dockerLayerGzip:
      return 'gzip';
    case MediaTypes.layerZstd:
      return 'zstd';
    default:
      return undefined;
  }
}

/** The OCI layer media type for `compression`. */
export function layerMediaType(compression: Compression): string {
  switch (compression) {
    case 'uncompressed':
      return MediaTypes.layer;
    case 'gzip':
      return MediaTypes.layerGzip;
    case 'zstd':
      return MediaTypes.layerZstd;
  }
}
