import { createReadStream } from 'node:fs';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import { nearestName } from '../core/nearest-name.ts';
import { writeOutput } from '../export/output-file.ts';
import { decompressed } from '../export/archive-members.ts';
import { FormatError } from '../oci/format-error.ts';
import type { CacheMountImport, CacheMountRow, StoreHandle } from '../store-handle.ts';
import type { Workers } from './workers.ts';

type CacheMountCommands = Pick<
  StoreHandle,
  'cacheMounts' | 'removeCacheMount' | 'exportCacheMount' | 'importCacheMount'
>;

const DEFAULT_MODE = 0o755;

/** The commands on cache mounts. */
export function cacheMountCommands(workers: Workers): CacheMountCommands {
  const { cacheMounts } = workers.sandbox;
  return {
    cacheMounts: () => cacheMounts.list(),
    removeCacheMount: async (id) => {
      await expectMount(workers, id);
      const bytes = await cacheMounts.remove(id);
      const remaining = (await cacheMounts.list()).some((mount) => mount.id === id);
      if (remaining)
        throw new BuildError('OUTPUT_FAILED', { path: `cache mount ${id}`, reason: 'a build is using it' });
      return bytes;
    },
    exportCacheMount: async (id, { dest, stdout, signal }) => {
      await expectMount(workers, id);
      await writeOutput({ dest, stdout }, cacheMounts.exportTar(id, { signal }));
    },
    importCacheMount: (id, request) => importMount(workers, id, request),
  };
}

async function expectMount({ sandbox }: Workers, id: string): Promise<void> {
  const ids = new Set((await sandbox.cacheMounts.list()).map((mount) => mount.id));
  if (ids.has(id)) return;
  const near = nearestName(id, [...ids]);
  const suggestion = near === undefined ? 'see: tsbuild cache mounts ls' : `did you mean ${near}?`;
  throw new BuildError('USAGE', { problem: `no cache mount is named ${JSON.stringify(id)}`, suggestion });
}

/** Does `work` with the archive's bytes. @throws ARCHIVE_INVALID where they cannot be read or are none */
async function readable<T>(
  path: CacheMountImport['path'],
  work: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  try {
    return await work(typeof path === 'string' ? createReadStream(path) : path);
  } catch (error) {
    if (!(error instanceof FormatError) && !isErrno(error, 'ENOENT', 'EACCES', 'EISDIR')) throw error;
    const name = typeof path === 'string' ? path : 'standard input';
    throw new BuildError('ARCHIVE_INVALID', { path: name, reason: messageOf(error) }, { cause: error });
  }
}

/** The archive is unpacked as a layer, with all the care that a layer gets, and the directory is seeded from that. */
async function importMount(workers: Workers, id: string, request: CacheMountImport): Promise<CacheMountRow> {
  const { cacheMounts, layers, snapshotter } = workers.sandbox;
  const { path, signal, mode = DEFAULT_MODE, uid = 0, gid = 0 } = request;
  const { layer } = await readable(path, async (bytes) => layers.apply(await decompressed(bytes), [], { signal }));
  try {
    await cacheMounts.remove(id);
    if ((await cacheMounts.list()).some((mount) => mount.id === id))
      throw new BuildError('OUTPUT_FAILED', { path: `cache mount ${id}`, reason: 'a build is using it' });
    const seed = { tree: { kind: 'layers', stack: [layer] }, path: '/' } as const;
    await using _ = await cacheMounts.acquire({ id, sharing: 'locked', mode, uid, gid, seed }, { signal });
  } finally {
    await snapshotter.remove(layer);
  }
  const made = (await cacheMounts.list()).find((mount) => mount.id === id);
  return made ?? { id, path: '', bytes: 0, lastUsedMs: Date.now() };
}
