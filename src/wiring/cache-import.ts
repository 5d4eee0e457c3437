import { resolve } from 'node:path';
import type { CacheImport } from '../build-request.ts';
import { BuildError, messageOf } from '../core/error.ts';
import type { ImportedCache } from '../core/imported-cache.ts';
import { together } from '../core/together.ts';
import { type ProgressListener, tellWarning } from '../core/progress.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import type { CachePlace } from '../source/cache-document.ts';
import type { ImportSource } from '../source/imported-cache.ts';
import { internalStep } from './internal-step.ts';
import type { Workers } from './workers.ts';

/** What importing caches needs. */
export interface CacheImportPorts {
  readonly workers: Workers;
  readonly emit: ProgressListener;
  readonly signal: AbortSignal;
}

/** The caches that a build takes results from; one that cannot be read is told as a warning. Nothing but their documents is fetched. */
export async function importCaches(
  caches: readonly CacheImport[],
  ports: CacheImportPorts,
): Promise<ImportedCache | undefined> {
  if (caches.length === 0) return undefined;
  const { openImportedCache } = await import('../source/imported-cache.ts');
  const sources = await together(caches, (cache, signal) => importOne(cache, { ...ports, signal }), ports.signal);
  const { content, index, sandbox, slots } = ports.workers;
  let fetches = 0;
  return openImportedCache(
    {
      content,
      index,
      layers: sandbox.layers,
      snapshots: sandbox.snapshotter,
      slots,
      lost: (name, reason) =>
        tellWarning(ports.emit, 'CacheImport', `cache import from ${name}: ${reason}; the steps that need it run here`),
      during: (work) => {
        fetches++;
        return internalStep({ id: `fetch cached layers ${fetches}`, name: 'fetching cached layers' }, ports.emit, work);
      },
    },
    sources.flat(),
  );
}

async function importOne(cache: CacheImport, ports: CacheImportPorts): Promise<readonly ImportSource[]> {
  const name = cache.type === 'registry' ? cache.ref : resolve(cache.src);
  const step = { id: `import ${JSON.stringify(cache)}`, name: `importing cache manifest from ${name}` };
  return internalStep(step, ports.emit, async () => {
    try {
      const { importRecords } = await import('../source/imported-cache.ts');
      const place = await openPlace(cache, ports);
      return [{ name, origin: place.origin, records: await importRecords(place) }];
    } catch (error) {
      ports.signal.throwIfAborted();
      if (!(error instanceof BuildError)) throw error;
      tellWarning(ports.emit, 'CacheImport', `cache import from ${name} failed: ${messageOf(error)}`);
      return [];
    }
  });
}

async function openPlace(cache: CacheImport, { workers, signal }: CacheImportPorts): Promise<CachePlace> {
  if (cache.type === 'local') {
    const { openLayoutAt } = await import('../source/oci-layout.ts');
    const { src, digest, tag } = cache;
    const place = { path: src, digest, tag: digest === undefined ? (tag ?? 'latest') : undefined };
    return { ...(await openLayoutAt(place, { reference: src, cwd: process.cwd() })), signal };
  }
  const reference = parseReference(cache.ref);
  if (reference === undefined) throw new BuildError('REFERENCE_INVALID', { reference: cache.ref });
  const root = await workers.registry.resolve(reference, { signal });
  if (root === undefined) throw new BuildError('IMAGE_NOT_FOUND', { reference: formatReference(reference) });
  const { registryOrigin } = await import('../source/image-origin.ts');
  return { root, origin: registryOrigin(() => workers.registry, reference), signal };
}
