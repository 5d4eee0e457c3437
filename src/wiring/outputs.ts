import type { BuildRequest, BuiltImage, ImageOutputOptions, Output } from '../build-request.ts';
import { BuildError } from '../core/error.ts';
import type { AssembledImage } from '../core/image.ts';
import type { RemoteLayers } from '../core/imported-cache.ts';
import type { ProgressListener } from '../core/progress.ts';
import { together } from '../core/together.ts';
import { writeImageIndex } from '../export/image-index.ts';
import type { Assembler } from '../export/assemble.ts';
import { type CacheResults, inlineRecords } from '../export/cache-results.ts';
import type { ResultForm } from '../../solver/solver.ts';
import { internalStep } from './internal-step.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Compression } from '../oci/media-type.ts';
import { formatPlatform } from '../oci/platform.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import type { Plan } from './plan.ts';
import type { Workers } from './workers.ts';

/** One platform's plan, the layers it came to and what an inline cache is made from. */
export interface SolvedPlan extends CacheResults {
  readonly plan: Plan;
}

/** What exporting needs besides the results. */
export interface OutputPorts {
  readonly workers: Workers;
  readonly assembler: Assembler;
  readonly remote: RemoteLayers | undefined;
  readonly emit: ProgressListener;
  readonly signal: AbortSignal;
}

/** The images that outputs made, for the summary. */
export interface Exported {
  readonly images: readonly BuiltImage[];
  readonly digest?: Digest;
  readonly names: readonly string[];
}

/** An image of one or several platforms, whole in the content store. */
interface ReadyImage {
  readonly root: Descriptor;
  readonly platforms: readonly AssembledImage[];
}

/** The outputs that a request means: without any, an image in the store. */
export function outputsOf(request: BuildRequest): readonly Output[] {
  const { outputs = [], tags = [] } = request;
  return outputs.length > 0 ? outputs : [{ type: 'image', names: tags, push: 'no', store: 'yes' }];
}

/** Whether an output needs layers as tars. */
export function needsImage(output: Output): boolean {
  return 'names' in output;
}

/** How far the result has to be here for the outputs. */
export function resultForm(request: BuildRequest): ResultForm {
  const outputs = outputsOf(request);
  // Times are rewritten in the files.
  const needFiles = outputs.some((output) =>
    needsImage(output) ? 'rewriteTimestamp' in output && output.rewriteTimestamp : output.type !== 'cacheonly',
  );
  if (needFiles) return 'files';
  return outputs.some(needsImage) ? 'blobs' : 'record';
}

/** Makes every output, one after the other; images that outputs share are assembled once. */
export async function exportAll(
  solved: readonly SolvedPlan[],
  request: BuildRequest,
  ports: OutputPorts,
): Promise<Exported> {
  const ready = new Map<string, Promise<ReadyImage>>();
  let first: ReadyImage | undefined;
  const names = new Set<string>();
  for (const output of outputsOf(request)) {
    const info = { id: `export ${JSON.stringify(output)}`, name: titleOf(output) };
    const image = await internalStep(info, ports.emit, (status) =>
      exportOne(output, { solved, request, ports, ready, status }),
    );
    first ??= image;
    if ('names' in output) for (const name of output.names) names.add(fullName(name));
  }
  const images = solved.map(({ plan }, index) => describe(plan, first?.platforms[index]));
  return { images, names: [...names], ...(first === undefined ? {} : { digest: first.root.digest }) };
}

interface Exporting {
  readonly solved: readonly SolvedPlan[];
  readonly request: BuildRequest;
  readonly ports: OutputPorts;
  readonly ready: Map<string, Promise<ReadyImage>>;
  readonly status: (status: { readonly id: string; readonly current: number; readonly total?: number }) => void;
}

function exportOne(output: Output, exporting: Exporting): Promise<ReadyImage | undefined> {
  switch (output.type) {
    case 'cacheonly':
      return Promise.resolve(undefined);
    case 'local':
      return exportLocal(output, exporting);
    case 'tar':
      return exportTar(output, exporting);
    case 'image':
      return exportImage(output, exporting);
    case 'oci':
    case 'docker':
      return exportArchive(output, exporting);
  }
}

async function exportLocal({ dest }: Output & { type: 'local' }, { solved, ports }: Exporting): Promise<undefined> {
  const { exportLocalFiles } = await import('../export/local-files.ts');
  const trees = solved.map(({ plan, stack }) =>
    solved.length === 1 ? { stack } : { stack, directory: formatPlatform(plan.platform).replaceAll('/', '_') },
  );
  await exportLocalFiles(ports.workers.sandbox.files, { dest, trees, signal: ports.signal });
}

async function exportTar(
  { dest }: Output & { type: 'tar' },
  { solved, ports, request: { stdout } }: Exporting,
): Promise<undefined> {
  const [only, ...more] = solved;
  if (only === undefined || more.length > 0) {
    throw new BuildError('OUTPUT_INVALID', { output: 'type=tar', reason: 'it holds one platform only' });
  }
  const { exportTarFile } = await import('../export/local-files.ts');
  const { stack, plan } = only;
  const { signal } = ports;
  await exportTarFile(ports.workers.sandbox.files, { dest, stdout, stack, epochSeconds: plan.epochSeconds, signal });
}

async function exportArchive(output: Output & { type: 'oci' | 'docker' }, exporting: Exporting): Promise<ReadyImage> {
  const { content } = exporting.ports.workers;
  const image = await assembleOnce(output, defaultCompression(output), exporting);
  const images = [{ image: image.root, names: output.names.map(fullName) }];
  const place = { dest: output.dest, stdout: exporting.request.stdout, images, signal: exporting.ports.signal };
  if (output.type === 'docker') {
    const { exportDockerArchive } = await import('../export/docker-archive.ts');
    await exportDockerArchive(content, place);
  } else {
    const { exportOciLayout } = await import('../export/oci-layout.ts');
    await exportOciLayout(content, { ...place, form: output.form });
  }
  return image;
}

async function exportImage(output: Output & { type: 'image' }, exporting: Exporting): Promise<ReadyImage> {
  const { workers, signal } = exporting.ports;
  const image = await assembleOnce(output, defaultCompression(output), exporting);
  const names = output.names.map(fullName);
  if (output.push === 'yes') {
    const { content, slots } = workers;
    const by = output.pushByDigest === true ? 'digest' : 'tag';
    const origins = new Map(
      exporting.solved.flatMap(({ plan }) =>
        plan.bases.flatMap(({ reference, layers }) => layers.map((layer) => [layer.digest, reference] as const)),
      ),
    );
    const { pushImage } = await import('../export/push.ts');
    await pushImage(
      { content, registry: workers.registry, slots: slots.net },
      { image: image.root, names, by, origins, progress: exporting.status, signal },
    );
  }
  if (output.store === 'yes') for (const name of names) await workers.names.set(name, image.root);
  return image;
}

/** gzip for what travels; what stays in the store is kept as it is, and compressed when it leaves. */
function defaultCompression(output: Output & ImageOutputOptions): Compression {
  if (output.compression !== undefined) return output.compression;
  return output.type === 'oci' || (output.type === 'image' && output.push === 'yes') ? 'gzip' : 'uncompressed';
}

function assembleOnce(
  options: ImageOutputOptions,
  compression: Compression,
  exporting: Exporting,
): Promise<ReadyImage> {
  const {
    compressionLevel,
    forceCompression = false,
    mediaTypes = 'oci',
    rewriteTimestamp = false,
    annotations = {},
  } = options;
  const key = JSON.stringify([
    compression,
    compressionLevel,
    forceCompression,
    mediaTypes,
    rewriteTimestamp,
    annotations,
  ]);
  let image = exporting.ready.get(key);
  if (image === undefined) {
    image = assemble({ ...options, mediaTypes, annotations }, compression, exporting);
    exporting.ready.set(key, image);
  }
  return image;
}

async function assemble(
  options: ImageOutputOptions & Required<Pick<ImageOutputOptions, 'mediaTypes' | 'annotations'>>,
  compression: Compression,
  { solved, ports, request }: Exporting,
): Promise<ReadyImage> {
  const { compressionLevel, mediaTypes, annotations } = options;
  const wantInline = (request.cacheTo ?? []).some(({ type }) => type === 'inline');
  const platforms = await together(
    solved,
    ({ plan, stack, results }, signal) =>
      ports.assembler.assemble(
        {
          draft: plan.draft,
          stack,
          bases: plan.bases,
          compression,
          ...(compressionLevel === undefined ? {} : { compressionLevel }),
          recompress: options.forceCompression === true ? 'force' : 'own',
          mediaTypes,
          ...(plan.epochSeconds === undefined ? {} : { epochSeconds: plan.epochSeconds }),
          timestamps: options.rewriteTimestamp === true ? 'rewrite' : 'keep',
          annotations,
          ...(wantInline ? { inlineCache: inlineRecords({ results, stack }, ports.remote) } : {}),
        },
        { signal },
      ),
    ports.signal,
  );
  const [only] = platforms;
  if (only !== undefined && platforms.length === 1) return { root: only.manifest, platforms };
  const images = solved.flatMap(({ plan }, index) => {
    const manifest = platforms[index]?.manifest;
    return manifest === undefined ? [] : [{ manifest, platform: plan.platform }];
  });
  return { root: await writeImageIndex(ports.workers.content, { images, mediaTypes, annotations }), platforms };
}

function describe(plan: Plan, image: AssembledImage | undefined): BuiltImage {
  const platform = formatPlatform(plan.platform);
  if (image === undefined) return { platform, layers: [] };
  return {
    platform,
    manifestDigest: image.manifest.digest,
    manifestSize: image.manifest.size,
    configDigest: image.config.digest,
    layers: image.layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType })),
  };
}

function titleOf(output: Output): string {
  switch (output.type) {
    case 'image':
      return output.push === 'yes' ? 'exporting to registry' : 'exporting to image';
    case 'oci':
      return 'exporting to oci image format';
    case 'docker':
      return 'exporting to docker image format';
    case 'local':
      return 'exporting to client directory';
    case 'tar':
      return 'exporting to client tarball';
    case 'cacheonly':
      return 'exporting nothing';
  }
}

function fullName(name: string): string {
  const reference = parseReference(name);
  if (reference === undefined) throw new BuildError('REFERENCE_INVALID', { reference: name });
  return formatReference(reference);
}
