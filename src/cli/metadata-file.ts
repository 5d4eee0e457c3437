import type { BuildResult, Output } from '../build-request.ts';
import { MediaTypes } from '../oci/media-type.ts';
import type { Digest } from '../oci/digest.ts';
import { toWarning } from './render-json.ts';

/** What docker calls the image ID: the config's digest, or the index' digest for several platforms; absent where no image was made. */
export function imageId(result: BuildResult): Digest | undefined {
  const [only, ...others] = result.images;
  return others.length === 0 ? (only?.configDigest ?? result.digest) : result.digest;
}

/** The text of `--metadata-file`, with buildx's keys in its order. */
export function formatMetadata(result: BuildResult, outputs: readonly Output[]): string {
  const [only, ...others] = result.images;
  const single = others.length === 0 ? only : undefined;
  const metadata = {
    ...(result.warnings.length === 0 ? {} : { 'buildx.build.warnings': result.warnings.map(toWarning) }),
    ...(single?.configDigest === undefined ? {} : { 'containerimage.config.digest': single.configDigest }),
    ...(result.digest === undefined ? {} : { 'containerimage.descriptor': descriptor(result, outputs) }),
    ...(result.digest === undefined ? {} : { 'containerimage.digest': result.digest }),
    ...(result.names.length === 0 ? {} : { 'image.name': result.names.join(',') }),
  };
  return `${JSON.stringify(metadata, undefined, 2)}\n`;
}

/** The size of an index is not known here and is left out. */
function descriptor(result: BuildResult, outputs: readonly Output[]): object {
  const [only, ...others] = result.images;
  const docker = outputs.some((output) => 'mediaTypes' in output && output.mediaTypes === 'docker');
  if (others.length > 0)
    return { mediaType: docker ? MediaTypes.dockerIndex : MediaTypes.index, digest: result.digest };
  const mediaType = docker ? MediaTypes.dockerManifest : MediaTypes.manifest;
  return { mediaType, digest: result.digest, ...(only?.manifestSize === undefined ? {} : { size: only.manifestSize }) };
}
