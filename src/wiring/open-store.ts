import { BuildError } from '../core/error.ts';
import type { NamedImage } from '../core/cache.ts';
import type { StoreOptions } from '../build-request.ts';
import { exportDockerArchive } from '../export/docker-archive.ts';
import { compressImage } from '../export/compress-image.ts';
import { imageBlobs, readDecoded } from '../export/image-blobs.ts';
import { loadArchive } from '../export/load-archive.ts';
import { exportOciLayout } from '../export/oci-layout.ts';
import { pushImage } from '../export/push.ts';
import { internalStep } from './internal-step.ts';
import { decodeImageConfig } from '../oci/decode.ts';
import { formatPlatform, hostPlatform, parsePlatform } from '../oci/platform.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import { sumUsage } from '../store/disk-usage.ts';
import { cacheMountCommands } from './cache-mounts.ts';
import { runningStepCommands } from './running-steps.ts';
import { measureRecords, selectRecords } from './store-records.ts';
import { prune } from './store-space.ts';
import { verify } from './verify-store.ts';
import type {
  ImageInspection,
  ImageRow,
  PlatformInspection,
  RecordFilter,
  SaveOptions,
  StoreHandle,
  TransferOptions,
} from '../store-handle.ts';
import { openWorkers, type Workers } from './workers.ts';

/** The store's images and caches, for everything that is not a build. @throws STORE_UNUSABLE */
export async function openStore(options: StoreOptions): Promise<StoreHandle> {
  const workers = await openWorkers(options);
  const { content, names } = workers;
  return {
    images: async () => Promise.all((await names.list()).map((named) => describeRow(workers, named))),
    tag: async (from, to) => names.set(fullName(to), (await find(workers, from)).image),
    remove: (reference) => remove(workers, reference),
    inspect: async (reference) => inspect(workers, await find(workers, reference)),
    load: async ({ path, signal }) =>
      (await loadArchive({ content, names }, { input: path, signal })).flatMap((image) => image.names),
    save: (references, o) => save(workers, references, o),
    push: (reference, o) => push(workers, reference, o),
    pull: (reference, o) => pull(workers, reference, o),
    prune: (filter) => prune(workers, filter),
    diskUsage: async (filter) => sumUsage(await records(workers, filter)),
    records: (filter) => records(workers, filter),
    verify: (o) => verify(workers, o),
    ...cacheMountCommands(workers),
    ...runningStepCommands(workers.sandbox.steps),
    [Symbol.asyncDispose]: () => workers[Symbol.asyncDispose](),
  };
}

async function find({ names }: Workers, text: string): Promise<NamedImage> {
  const byName = parseReference(text) === undefined ? undefined : await names.lookup(fullName(text));
  if (byName !== undefined) return byName;
  throw new BuildError('IMAGE_NOT_FOUND', { reference: text, reason: 'the store has none of that name' });
}

async function describeRow({ content }: Workers, named: NamedImage): Promise<ImageRow> {
  const { blobs, manifests } = await imageBlobs(content, named.image, 'skip');
  const configs = await Promise.all(
    manifests.map(({ manifest }) => readDecoded(content, manifest.config, decodeImageConfig)),
  );
  const [only] = manifests;
  const created = configs[0]?.created;
  return {
    reference: named.reference,
    image: named.image,
    ...(only !== undefined && manifests.length === 1 ? { configDigest: only.manifest.config.digest } : {}),
    platforms: configs.map(formatPlatform),
    ...(created === undefined ? {} : { createdMs: Date.parse(created) }),
    size: blobs.reduce((total, { size }) => total + size, 0),
  };
}

async function inspect({ content }: Workers, { reference, image }: NamedImage): Promise<ImageInspection> {
  const { manifests } = await imageBlobs(content, image, 'skip');
  const platforms = await Promise.all(
    manifests.map(async ({ descriptor, manifest }): Promise<PlatformInspection> => {
      const config = await readDecoded(content, manifest.config, decodeImageConfig);
      const diffIds = config.rootfs.diff_ids;
      const layers = manifest.layers.map((layer, place) => ({ ...layer, diffId: diffIds[place] ?? layer.digest }));
      return {
        platform: formatPlatform(config),
        manifest: descriptor,
        configDigest: manifest.config.digest,
        config,
        layers,
      };
    }),
  );
  return { reference, image, platforms };
}

async function remove(workers: Workers, text: string): ReturnType<StoreHandle['remove']> {
  const { reference, image } = await find(workers, text);
  await workers.names.remove(reference);
  const remaining = await workers.names.list();
  if (remaining.some((other) => other.image.digest === image.digest)) return { untagged: [reference], deleted: [] };
  return { untagged: [reference], deleted: [image.digest] };
}

async function save(workers: Workers, references: readonly string[], o: SaveOptions): Promise<void> {
  const found = await Promise.all(references.map((reference) => find(workers, reference)));
  const images = found.map(({ image, reference }) => ({ image, names: [reference] }));
  const request = { dest: o.dest, stdout: o.stdout, images, signal: o.signal };
  if (o.format === 'docker') await exportDockerArchive(workers.content, request);
  else await exportOciLayout(workers.content, { ...request, form: 'tar' });
}

async function push(workers: Workers, text: string, o: TransferOptions): ReturnType<StoreHandle['push']> {
  const { content, index, slots, registry } = workers;
  const { reference, image: stored } = await find(workers, text);
  const { signal } = o;
  return transfer(`pushing ${reference}`, o, async (progress) => {
    const image = await compressImage(
      { content, cache: index, slots: slots.cpu },
      { image: stored, compression: 'gzip', signal },
    );
    const [pushed] = await pushImage(
      { content, registry, slots: slots.net },
      { image, names: [reference], by: 'tag', progress, signal },
    );
    return pushed ?? { reference, digest: image.digest };
  });
}

async function records(
  workers: Workers,
  { selectors = [], usedBeforeMs = Infinity }: RecordFilter,
): ReturnType<StoreHandle['records']> {
  const selected = await selectRecords(workers, selectors);
  return measureRecords(selected.filter(({ usedMs }) => usedMs < usedBeforeMs));
}

async function pull(
  { images, names }: Workers,
  text: string,
  o: TransferOptions & { readonly platform?: string | undefined },
): ReturnType<StoreHandle['pull']> {
  const reference = fullName(text);
  const platform = o.platform === undefined ? hostPlatform() : parsePlatform(o.platform);
  if (platform === undefined)
    throw new BuildError('USAGE', { problem: `unknown platform ${JSON.stringify(o.platform)}` });
  return transfer(`pulling ${reference}`, o, async (progress) => {
    const strict = o.platform === undefined ? 'no' : 'yes';
    const resolved = await images.resolve(reference, { platform, strict, pull: 'always', signal: o.signal });
    await images.layers(resolved.manifest.digest, { progress, signal: o.signal });
    const named = await names.lookup(reference);
    return { reference, digest: named?.image.digest ?? resolved.manifest.digest };
  });
}

function transfer<T>(
  name: string,
  o: TransferOptions,
  work: (
    progress: (status: { readonly id: string; readonly current: number; readonly total: number }) => void,
  ) => Promise<T>,
): Promise<T> {
  return internalStep({ id: name, name }, o.progress ?? (() => undefined), work);
}

function fullName(text: string): string {
  const reference = parseReference(text);
  if (reference === undefined) throw new BuildError('REFERENCE_INVALID', { reference: text });
  return formatReference(reference);
}
