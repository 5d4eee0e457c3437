import { BuildError, isBuildError, messageOf } from '../core/error.ts';
import { decompress } from '../oci/compression.ts';
import { decodeImageConfig } from '../oci/decode.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, Digester } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Manifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType, layerCompression, MediaTypes } from '../oci/media-type.ts';
import { type BlobReader, imageBlobs, readDecoded } from './image-blobs.ts';

/** How much of an image is looked at. */
export interface ValidateOptions {
  /** `known`: blobs were verified a moment ago; only documents and compressed layers are read again. */
  readonly digests?: 'unknown' | 'known';
  /** What to do about an index' manifest that is not there. */
  readonly partial?: 'refuse' | 'skip';
  readonly signal?: AbortSignal | undefined;
}

/**
 * Everything that is wrong with an image in the store, in words; empty for a sound one. Looks at every descriptor's digest and size,
 * every diff ID, and at how config, layers and history fit together.
 */
export async function validateImage(
  content: BlobReader,
  image: Descriptor,
  o: ValidateOptions = {},
): Promise<readonly string[]> {
  const problems: string[] = [];
  const attempt = async (work: () => Promise<readonly string[]>): Promise<void> => {
    try {
      problems.push(...(await work()));
    } catch (error) {
      if (!isBuildError(error)) throw error;
      problems.push(error.message);
    }
  };
  await attempt(async () => {
    const { blobs, manifests } = await imageBlobs(content, image, o.partial ?? 'refuse');
    for (const blob of blobs) await attempt(() => checkBlob(content, blob, o));
    for (const { manifest } of manifests.filter((each) => isImage(each.manifest))) {
      await attempt(() => checkManifest(content, manifest, o));
    }
    return manifests.length === 0 ? [`${image.digest} holds no image`] : [];
  });
  return problems;
}

async function checkBlob(content: BlobReader, blob: Descriptor, o: ValidateOptions): Promise<readonly string[]> {
  const info = await content.lookup(blob.digest);
  if (info === undefined) return [`blob ${blob.digest} (${blob.mediaType}) is missing`];
  if (info.size !== blob.size)
    return [`blob ${blob.digest} has ${info.size} bytes, and its descriptor says ${blob.size}`];
  // Documents were read to get here, and reading verifies.
  if (o.digests !== 'known' && !isIndexType(blob.mediaType) && !isManifestType(blob.mediaType)) {
    for await (const _ of content.read(blob, { signal: o.signal })) continue;
  }
  return [];
}

async function checkManifest(content: BlobReader, manifest: Manifest, o: ValidateOptions): Promise<readonly string[]> {
  const config = await readDecoded(content, manifest.config, decodeImageConfig);
  const problems = [...checkCounts(manifest, config), ...checkTimes(config)];
  for (const [place, layer] of manifest.layers.entries()) {
    const expected = config.rootfs.diff_ids[place];
    const actual = await diffIdOf(content, layer, o);
    if (actual === undefined) problems.push(`layer ${place} has the unknown media type ${layer.mediaType}`);
    else if (expected !== undefined && actual !== expected) {
      problems.push(`layer ${place} unpacks to ${actual}, and the config says ${expected}`);
    }
  }
  return problems;
}

function checkCounts({ layers }: Manifest, { rootfs, history }: ImageConfig): readonly string[] {
  const problems: string[] = [];
  if (rootfs.diff_ids.length !== layers.length) {
    problems.push(`the config has ${rootfs.diff_ids.length} diff IDs for ${layers.length} layers`);
  }
  const entries = history.filter((entry) => entry.empty_layer !== true).length;
  // History is optional (config.md); a partial one is not.
  if (history.length > 0 && entries !== layers.length) {
    problems.push(`the history has ${entries} entries with a layer for ${layers.length} layers`);
  }
  return problems;
}

function checkTimes({ created, history }: ImageConfig): readonly string[] {
  const times = [created, ...history.map((entry) => entry.created)].filter((time) => time !== undefined);
  return times.filter((time) => Number.isNaN(Date.parse(time))).map((time) => `${JSON.stringify(time)} is no time`);
}

async function diffIdOf(content: BlobReader, layer: Descriptor, o: ValidateOptions): Promise<Digest | undefined> {
  const compression = layerCompression(layer.mediaType);
  if (compression === undefined || compression === 'uncompressed') return compression && layer.digest;
  const digester = new Digester();
  try {
    for await (const chunk of decompress(content.read(layer, { signal: o.signal }), compression))
      digester.update(chunk);
  } catch (error) {
    if (isBuildError(error)) throw error;
    o.signal?.throwIfAborted();
    throw invalidLayer(layer, messageOf(error), error);
  }
  return digester.digest();
}

function invalidLayer({ digest }: Descriptor, reason: string, cause: unknown): BuildError {
  return new BuildError('LAYER_INVALID', { what: digest, reason }, { cause });
}

/** Attestations travel in an index as manifests with another kind of config (OCI artifacts); their layers are no file systems. */
function isImage({ config, layers }: Manifest): boolean {
  const known = config.mediaType === MediaTypes.config || config.mediaType === MediaTypes.dockerConfig;
  return known && !layers.some(({ mediaType }) => mediaType === 'application/vnd.in-toto+json');
}
