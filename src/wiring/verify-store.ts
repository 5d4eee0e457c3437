import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { isPulled } from '../core/cache.ts';
import { isBuildError, messageOf } from '../core/error.ts';
import type { LayerId, LayerStack } from '../core/snapshot.ts';
import { decompress } from '../oci/compression.ts';
import type { Digest } from '../oci/digest.ts';
import { layerCompression } from '../oci/media-type.ts';
import type { CacheSurvey } from '../store/cache-index.ts';
import { verifyStore } from '../store/verify-store.ts';
import { surveyStore } from '../store/store-survey.ts';
import type { StoreFlaw, StoreHandle } from '../store-handle.ts';
import { partsOf } from './store-records.ts';
import type { Workers } from './workers.ts';

type VerifyOptions = Parameters<StoreHandle['verify']>[0];

/** Reads all blobs, what names need, and all layers that the index knows: those made here must still give their diff ID. Layers that it does not know are told too. */
export async function verify(workers: Workers, o: VerifyOptions): Promise<readonly StoreFlaw[]> {
  const problems = await verifyStore(workers, o);
  const layers = await damagedLayers(workers, new Set(problems.map(({ what }) => what)), o.signal);
  const { strayLayers } = await surveyStore(partsOf(workers), await workers.state.oldestOwnerMs());
  const flaws = [
    ...problems.map(({ what, reason }) => ({ what, reason, severity: 'damaged' }) as const),
    ...layers.map(({ layer, reason }) => ({ what: `layer ${layer}`, reason, severity: 'damaged' }) as const),
    ...strayLayers.map(
      ({ layer }) => ({ what: `layer ${layer}`, reason: 'nothing refers to it', severity: 'stray' }) as const,
    ),
  ];
  if (o.repair === 'none') return flaws.map((flaw) => ({ ...flaw, repair: 'none' }));
  await dropLayers(
    workers,
    [...layers, ...strayLayers].map(({ layer }) => layer),
  );
  for (const { what } of problems) await dropProblem(workers, what);
  return flaws.map((flaw) => ({ ...flaw, repair: 'dropped' }));
}

interface DamagedLayer {
  readonly layer: LayerId;
  readonly reason: string;
}

async function damagedLayers(
  workers: Workers,
  damagedBlobs: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<readonly DamagedLayer[]> {
  const survey = await workers.index.survey();
  const lowers = lowersOf(survey);
  const diffIds = new Map(survey.layers.map(({ layer, diffId }) => [layer, diffId]));
  const damaged: DamagedLayer[] = [];
  for (const layer of new Set([...diffIds.keys(), ...lowers.keys()])) {
    signal?.throwIfAborted();
    const reason = await reasonAgainst(layer, {
      workers,
      survey,
      damagedBlobs,
      lower: lowers.get(layer),
      diffId: diffIds.get(layer),
      signal,
    });
    if (reason !== undefined) damaged.push({ layer, reason });
  }
  return damaged;
}

/** What a layer lies on in one of the results that have it: its tar depends on that. */
function lowersOf({ results }: CacheSurvey): ReadonlyMap<LayerId, LayerStack> {
  return new Map(results.flatMap(({ stack }) => stack.map((layer, place) => [layer, stack.slice(0, place)] as const)));
}

interface Checked {
  readonly workers: Workers;
  readonly survey: CacheSurvey;
  readonly damagedBlobs: ReadonlySet<string>;
  readonly lower: LayerStack | undefined;
  readonly diffId: Digest | undefined;
  readonly signal: AbortSignal | undefined;
}

async function reasonAgainst(layer: LayerId, o: Checked): Promise<string | undefined> {
  const { workers, survey, damagedBlobs, lower, diffId } = o;
  const { snapshotter } = workers.sandbox;
  if (!(await snapshotter.has(layer))) return 'it is recorded, but not there';
  if (diffId === undefined) return undefined;
  const pulled = survey.blobs.find((blob) => blob.diffId === diffId && isPulled(blob.compression));
  // A blob that is damaged says nothing of the layer that was made of it.
  if (pulled !== undefined && damagedBlobs.has(pulled.blob)) return undefined;
  try {
    if (pulled !== undefined) return await compareWithBlob(layer, pulled.blob, o);
    if (lower === undefined) return undefined;
    for (const below of lower) if (!(await snapshotter.has(below))) return undefined;
    return await compareTar(layer, lower, { ...o, diffId });
  } catch (error) {
    if (!isBuildError(error)) throw error;
    return messageOf(error);
  }
}

/** A layer of ours gives the same tar again. */
async function compareTar(
  layer: LayerId,
  lower: LayerStack,
  { workers, diffId, signal }: Checked & { readonly diffId: Digest },
): Promise<string | undefined> {
  const to = join(workers.state.tmp, `verify-${randomUUID()}`);
  try {
    const tar = await workers.sandbox.layers.writeTar(layer, lower, { to, signal });
    return tar.diffId === diffId ? undefined : `its diff ID is ${tar.diffId}, but ${diffId} is recorded`;
  } finally {
    await rm(to, { force: true });
  }
}

/** A layer that came as another program's tar is unpacked once more, and its files are compared. */
async function compareWithBlob(
  layer: LayerId,
  blob: Digest,
  { workers, signal }: Checked,
): Promise<string | undefined> {
  const { content, sandbox } = workers;
  const info = await content.lookup(blob);
  const descriptor = await workers.index.lookupBlobDescriptor(blob);
  if (info === undefined || descriptor === undefined) return undefined;
  const compression = layerCompression(descriptor.mediaType);
  if (compression === undefined) return undefined;
  const bytes = decompress(content.read(info, { signal }), compression);
  const fresh = await sandbox.layers.apply(bytes, [], { signal });
  try {
    const [is, should] = await Promise.all([layer, fresh.layer].map((each) => digestOfLayer(workers, each, signal)));
    return is === should ? undefined : `its files are not those of its blob ${blob}`;
  } finally {
    await sandbox.snapshotter.remove(fresh.layer);
  }
}

function digestOfLayer({ sandbox }: Workers, layer: LayerId, signal: AbortSignal | undefined): Promise<Digest> {
  const all = { paths: ['/'], exclude: [], parents: 'drop' } as const;
  return sandbox.files.contentDigest({ kind: 'layers', stack: [layer] }, all, { signal });
}

async function dropLayers({ index, sandbox }: Workers, layers: readonly LayerId[]): Promise<void> {
  if (layers.length === 0) return;
  await index.dropLayers(layers);
  for (const layer of layers) await sandbox.snapshotter.remove(layer);
}

/** A damaged blob goes; a name whose image is not whole goes as well, as it stands for nothing. */
async function dropProblem({ content, names, state }: Workers, what: string): Promise<void> {
  if (what.startsWith('sha256:'))
    await state.locked({ name: 'gate', mode: 'exclusive' }, () => content.remove(what as Digest));
  else await names.remove(what);
}
