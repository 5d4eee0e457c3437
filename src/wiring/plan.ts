import type { BuildRequest } from '../build-request.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { BuildError, isBuildError } from '../core/error.ts';
import { nearestName } from '../core/nearest-name.ts';
import type { BuildGraph, VertexId } from '../core/graph.ts';
import type { ImageDraft } from '../core/image.ts';
import type { ProgressListener } from '../core/progress.ts';
import type { ImageSource, ResolvedImage } from '../core/source.ts';
import { together } from '../core/together.ts';
import { formatPlatform, hostPlatform, parsePlatform, type Platform } from '../oci/platform.ts';
import { familiarReference, parseReference } from '../oci/reference.ts';
import type { Dockerfile } from '../../frontend/ast.ts';
import { lower } from '../../frontend/lower.ts';
import type { ImageRequest, LowerRequest, LowerResult } from '../../frontend/lower-request.ts';
import type { BuildInputs } from './inputs.ts';
import { internalStep } from './internal-step.ts';

/** One platform's build, ready to be solved. */
export interface Plan {
  readonly platform: Platform;
  readonly graph: BuildGraph;
  /** Absent: the image has no layers. */
  readonly target: VertexId | undefined;
  readonly draft: ImageDraft;
  readonly bases: readonly ResolvedImage[];
  readonly warnings: readonly Diagnostic[];
  readonly epochSeconds?: number;
}

/** What planning needs besides the request. */
export interface PlanPorts {
  readonly inputs: BuildInputs;
  readonly images: Pick<ImageSource, 'resolve'>;
  readonly emit: ProgressListener;
  readonly signal: AbortSignal;
  /** `all`: stages that the target does not need are looked at too. */
  readonly extent?: 'target' | 'all';
}

/** Draws the graph for one platform, resolving the images that it turns out to need. @throws DOCKERFILE_INVALID, what `resolve` throws */
export async function plan(
  dockerfile: Dockerfile,
  request: BuildRequest,
  platform: Platform,
  ports: PlanPorts,
): Promise<Plan> {
  const result = await lowerWithImages(dockerfile, toLowerRequest(request, platform, ports), request, ports);
  const { graph, target, draft, bases, diagnostics, epochSeconds } = result;
  return {
    platform,
    graph,
    target,
    draft,
    bases,
    warnings: diagnostics,
    ...(epochSeconds === undefined ? {} : { epochSeconds }),
  };
}

/** The platforms to build for; without a wish, this machine's. @throws USAGE */
export function platformsOf(request: BuildRequest): readonly Platform[] {
  const { platforms = [] } = request;
  if (platforms.length === 0) return [hostPlatform()];
  return platforms.map((text) => {
    const platform = text === 'local' ? hostPlatform() : parsePlatform(text);
    if (platform === undefined)
      throw new BuildError('USAGE', {
        problem: `unknown platform ${JSON.stringify(text)}`,
        suggestion: 'write OS/ARCH, as in linux/amd64',
      });
    return platform;
  });
}

/** The build args that have a value. */
export function givenArgs({ buildArgs }: BuildRequest): ReadonlyMap<string, string> {
  return new Map([...(buildArgs ?? [])].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

type Complete = LowerResult & { readonly kind: 'complete' };

async function lowerWithImages(
  dockerfile: Dockerfile,
  lowering: LowerRequest,
  request: BuildRequest,
  ports: PlanPorts,
): Promise<Complete> {
  const images = new Map(lowering.images);
  for (;;) {
    const result = lower(dockerfile, { ...lowering, images });
    switch (result.kind) {
      case 'complete':
        return result;
      case 'invalid':
        throw invalid(dockerfile, request, result.diagnostics);
      case 'needs-images': {
        const resolved = await together(
          result.requests,
          (wanted, signal) => resolveImage(wanted, request, { ...ports, dockerfile, signal }),
          ports.signal,
        );
        for (const [index, { key }] of result.requests.entries()) {
          const image = resolved[index];
          if (image !== undefined) images.set(key, image);
        }
      }
    }
  }
}

function invalid(
  dockerfile: Dockerfile,
  { target = '' }: BuildRequest,
  diagnostics: readonly Diagnostic[],
): BuildError {
  const [first] = diagnostics;
  if (first?.code !== 'StageNotFound')
    return new BuildError('DOCKERFILE_INVALID', { file: dockerfile.file, diagnostics });
  const known = dockerfile.stages.map(({ name, index }) => name ?? String(index));
  return new BuildError(
    'STAGE_NOT_FOUND',
    { stage: target, known },
    first.help === undefined ? {} : { hint: first.help },
  );
}

async function resolveImage(
  wanted: ImageRequest,
  request: BuildRequest,
  { images, emit, signal, dockerfile }: PlanPorts & { readonly dockerfile: Dockerfile },
): Promise<ResolvedImage> {
  const { reference, platform, strict, range } = wanted;
  const name = `[internal] load metadata for ${reference}`;
  const step = { id: `${name} ${formatPlatform(platform)}`, name, ...(range === undefined ? {} : { location: range }) };
  return internalStep(step, emit, async () => {
    try {
      return await images.resolve(reference, { platform, strict, pull: request.pull ?? 'missing', signal });
    } catch (error) {
      throw isBuildError(error) ? (mistypedStage(error, reference, dockerfile) ?? error).at(range) : error;
    }
  });
}

/** A name that is no stage counts as an image's: where a stage's name is near, that is more likely what is wrong than the network. */
function mistypedStage(error: BuildError, reference: string, { stages }: Dockerfile): BuildError | undefined {
  const parsed = parseReference(reference);
  const written =
    parsed === undefined ? reference : familiarReference({ registry: parsed.registry, repository: parsed.repository });
  const near = nearestName(
    written,
    stages.flatMap(({ name }) => name ?? []),
  );
  if (near === undefined) return undefined;
  const hint = `no stage is named ${written}, so it counts as an image; did you mean the stage ${near}?`;
  return new BuildError(error.code, error.detail, { cause: error.cause, hint });
}

/** The request as the frontend wants it. */
export function toLowerRequest(
  request: BuildRequest,
  platform: Platform,
  { inputs, extent = 'target' }: Pick<PlanPorts, 'inputs' | 'extent'>,
): LowerRequest {
  const { target, shmSizeBytes, cgroupParent, compat } = request;
  return {
    ...(target === undefined ? {} : { target }),
    buildArgs: givenArgs(request),
    labels: request.labels ?? new Map(),
    platform,
    platformAsked: (request.platforms ?? []).length > 0 ? 'yes' : 'no',
    buildPlatform: hostPlatform(),
    namedContexts: inputs.namedContexts,
    images: new Map(),
    noCache: request.noCache ?? [],
    network: request.network ?? 'default',
    addHosts: request.addHosts ?? [],
    ...(shmSizeBytes === undefined ? {} : { shmSizeBytes }),
    ulimits: request.ulimits ?? [],
    ...(cgroupParent === undefined ? {} : { cgroupParent }),
    resources: request.resources ?? {},
    mainContext: inputs.mainContext,
    ...(inputs.ignore === undefined ? {} : { ignore: inputs.ignore }),
    ...(compat === undefined ? {} : { compat }),
    extent,
    multiPlatform: (request.platforms ?? []).length > 1 ? 'yes' : 'no',
  };
}
