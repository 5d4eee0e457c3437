import type { BuildRequest, StoreOptions } from '../build-request.ts';
import { isBuildError } from '../core/error.ts';
import type { ImageSource, ResolvedImage } from '../core/source.ts';
import { digestOf } from '../oci/digest.ts';
import { MediaTypes } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import { checkOutcome } from '../../frontend/lint/check-outcome.ts';
import { openInputs, parseText } from './inputs.ts';
import { givenArgs, plan, platformsOf } from './plan.ts';
import type { CheckResult } from '../store-handle.ts';
import { openWorkers } from './workers.ts';

/**
 * Evaluates a Dockerfile and gives everything that is wrong or doubtful in it; nothing is built. Base images that the store does not
 * have are not asked for: what only they could tell is left out.
 */
export async function check(request: BuildRequest, store: StoreOptions): Promise<CheckResult> {
  const emit = request.progress ?? (() => undefined);
  const signal = request.signal ?? new AbortController().signal;
  await using workers = await openWorkers(store);
  await using inputs = await openInputs(request, { workers, emit, signal });
  const { bytes: text, path: file } = inputs.dockerfile;
  const { dockerfile, diagnostics: flaws } = parseText(inputs, request);
  if (flaws.some(({ severity }) => severity === 'error')) return { file, text, diagnostics: flaws, failed: true };
  const [platform] = platformsOf(request);
  if (platform === undefined) return { file, text, diagnostics: flaws, failed: false };
  try {
    const images = offline(workers.images);
    const { warnings } = await plan(dockerfile, request, platform, { inputs, images, emit, signal, extent: 'all' });
    const outcome = checkOutcome(warnings, dockerfile, givenArgs(request));
    return { file, text, diagnostics: warnings, failed: outcome.kind === 'violations' };
  } catch (error) {
    if (!isBuildError(error, 'DOCKERFILE_INVALID')) throw error;
    return { file, text, diagnostics: error.detail.diagnostics, failed: true };
  }
}

/** Images of the store only; in place of others one that says nothing. */
function offline(images: Pick<ImageSource, 'resolve'>): Pick<ImageSource, 'resolve'> {
  return {
    async resolve(reference, o) {
      try {
        return await images.resolve(reference, { ...o, pull: 'never' });
      } catch (error) {
        if (!isBuildError(error, 'IMAGE_NOT_FOUND') && !isBuildError(error, 'PLATFORM_NOT_FOUND')) throw error;
        return unknownImage(reference, o.platform);
      }
    },
  };
}

function unknownImage(reference: string, { os, architecture, variant }: Platform): ResolvedImage {
  const nothing = digestOf('');
  return {
    reference,
    manifest: { mediaType: MediaTypes.manifest, digest: nothing, size: 0 },
    configDigest: nothing,
    config: {
      os,
      architecture,
      ...(variant === undefined ? {} : { variant }),
      config: {},
      rootfs: { type: 'layers', diff_ids: [] },
      history: [],
    },
    layers: [],
  };
}
