import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { FakeRegistry } from './fake-registry.ts';

/** An image to be put into a fake registry, good or bad. */
export interface RegistryImage {
  readonly repository: string;
  readonly tag?: string;
  /** Each layer's uncompressed content, which need be no tar where nobody unpacks it. */
  readonly layers: readonly (string | Uint8Array)[];
  readonly compression?: 'uncompressed' | 'gzip' | 'zstd';
  readonly types?: 'oci' | 'docker';
  readonly platform?: Platform;
  /** Changes the documents before they are digested. */
  readonly tamper?: {
    readonly config?: (config: Record<string, unknown>) => unknown;
    readonly manifest?: (manifest: Record<string, unknown>) => unknown;
  };
}

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };

/** Puts an image there, and gives the descriptor of its manifest. */
export function putImage(server: FakeRegistry, image: RegistryImage): Descriptor {
  const { repository, layers, types = 'oci', platform = AMD64, tamper = {} } = image;
  const put = (mediaType: string, bytes: Buffer): Descriptor => {
    const digest = digestOf(bytes);
    server.blobs.set(`${repository}@${digest}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = {
    ...platform,
    config: { Env: ['A=1'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
  };
  const configBytes = Buffer.from(JSON.stringify(tamper.config?.(config) ?? config));
  const oci = types === 'oci';
  const manifest = {
    schemaVersion: 2,
    mediaType: oci ? MediaTypes.manifest : MediaTypes.dockerManifest,
    config: put(oci ? MediaTypes.config : MediaTypes.dockerConfig, configBytes),
    layers: layers.map((layer) => put(...compressed(Buffer.from(layer), image))),
  };
  return putDocument(server, image, tamper.manifest?.(manifest) ?? manifest);
}

/** Puts an index there, and gives its descriptor. */
export function putIndex(
  server: FakeRegistry,
  o: { readonly repository: string; readonly tag?: string },
  manifests: readonly unknown[],
): Descriptor {
  return putDocument(server, o, { schemaVersion: 2, mediaType: MediaTypes.index, manifests });
}

/** Puts any document there as if it were a manifest. */
export function putDocument(
  server: FakeRegistry,
  { repository, tag }: { readonly repository: string; readonly tag?: string },
  document: unknown,
): Descriptor {
  const bytes = Buffer.from(JSON.stringify(document));
  const { mediaType = MediaTypes.manifest } = document as { mediaType?: string };
  const digest = digestOf(bytes);
  server.manifests.set(`${repository}@${digest}`, { mediaType, bytes });
  if (tag !== undefined) server.manifests.set(`${repository}:${tag}`, { mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}

function compressed(bytes: Buffer, { compression = 'gzip', types }: RegistryImage): [mediaType: string, bytes: Buffer] {
  switch (compression) {
    case 'uncompressed':
      return [types === 'docker' ? MediaTypes.dockerLayer : MediaTypes.layer, bytes];
    case 'gzip':
      return [types === 'docker' ? MediaTypes.dockerLayerGzip : MediaTypes.layerGzip, gzipSync(bytes)];
    case 'zstd':
      return [MediaTypes.layerZstd, zstdCompressSync(bytes)];
  }
}
