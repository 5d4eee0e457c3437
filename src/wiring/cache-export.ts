import { resolve } from 'node:path';
import type { BuildRequest, CacheExport } from '../build-request.ts';
import { BuildError, messageOf } from '../core/error.ts';
import type { ImportedCache } from '../core/imported-cache.ts';
import { type ProgressListener, tellWarning } from '../core/progress.ts';
import type { Assembler } from '../export/assemble.ts';
import type { CacheImage } from '../export/cache-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { internalStep } from './internal-step.ts';
import type { SolvedPlan } from './outputs.ts';
import type { Workers } from './workers.ts';

/** What exporting caches needs. */
export interface CacheExportPorts {
  readonly workers: Workers;
  readonly assembler: Assembler;
  readonly imported: ImportedCache | undefined;
  readonly emit: ProgressListener;
  readonly signal: AbortSignal;
}

type PlacedExport = Exclude<CacheExport, { type: 'inline' }>;

/** Leaves the results in the places that the request names, one after the other. A place that does not take them is told as a warning. */
export async function exportCaches(
  platforms: readonly SolvedPlan[],
  { cacheTo = [] }: BuildRequest,
  ports: CacheExportPorts,
): Promise<void> {
  for (const cache of cacheTo) if (cache.type !== 'inline') await exportOne(cache, platforms, ports);
}

async function exportOne(
  cache: PlacedExport,
  platforms: readonly SolvedPlan[],
  ports: CacheExportPorts,
): Promise<void> {
  const name = cache.type === 'registry' ? cache.ref : resolve(cache.dest);
  const step = { id: `export cache ${JSON.stringify(cache)}`, name: `exporting cache to ${name}` };
  await internalStep(step, ports.emit, async (progress) => {
    try {
      const { makeCacheImage } = await import('../export/cache-image.ts');
      const { assembler, imported, signal } = ports;
      const image = await makeCacheImage(
        { assembler, imported },
        {
          platforms,
          bases: platforms.flatMap(({ plan }) => plan.bases),
          mode: cache.mode,
          form: cache.form ?? 'manifest',
          compression: cache.compression ?? 'gzip',
          ...(cache.compressionLevel === undefined ? {} : { compressionLevel: cache.compressionLevel }),
          recompress: cache.forceCompression === true ? 'force' : 'own',
          mediaTypes: cache.mediaTypes ?? 'oci',
          signal,
        },
      );
      await publish(cache, image, { ...ports, progress, platforms });
    } catch (error) {
      ports.signal.throwIfAborted();
      if (cache.onError === 'fail' || !(error instanceof BuildError)) throw error;
      tellWarning(ports.emit, 'CacheExport', `cache export to ${name} failed: ${messageOf(error)}`);
    }
  });
}

interface Publishing extends CacheExportPorts {
  readonly platforms: readonly SolvedPlan[];
  readonly progress: (status: { readonly id: string; readonly current: number; readonly total: number }) => void;
}

async function publish(cache: PlacedExport, image: CacheImage, o: Publishing): Promise<void> {
  const { workers, imported, progress, signal, platforms } = o;
  const { cacheReader } = await import('../export/cache-reader.ts');
  const content = cacheReader(workers.content, image, imported);
  if (cache.type === 'local') {
    const [{ exportCacheLayout }, { takeLock }] = await Promise.all([
      import('../export/cache-layout.ts'),
      import('../store/lock-file.ts'),
    ]);
    const lock = (path: string, until?: AbortSignal): Promise<AsyncDisposable> =>
      takeLock(path, 'exclusive', { signal: until });
    const { dest, tag = 'latest', unreferenced = 'keep' } = cache;
    await exportCacheLayout(content, image, { dest, tag, unreferenced, lock, signal });
    return;
  }
  const { pushImage } = await import('../export/push.ts');
  const bases = platforms.flatMap(({ plan }) => plan.bases);
  const origins = new Map(
    bases.flatMap(({ reference, layers }) => layers.map(({ digest }: Descriptor) => [digest, reference] as const)),
  );
  await pushImage(
    { content, registry: workers.registry, slots: workers.slots.net },
    { image: image.root, names: [cache.ref], by: 'tag', origins, progress, signal },
  );
}
