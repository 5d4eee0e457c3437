import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, isErrno } from '../src/core/error.ts';
import type {
  ActiveSnapshot,
  LayerId,
  LayerStack,
  ListedLayer,
  Snapshotter,
  SnapshotView,
} from '../src/core/snapshot.ts';
import type { TreeUsage } from '../src/core/tree-usage.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import type { LayerStore } from './layer-store.ts';
import { CopySnapshotter } from './copy-snapshotter.ts';
import { makeDirectory } from './make-directory.ts';
import { OverlaySnapshotter } from './overlay-snapshotter.ts';
import { WorkerPool } from './worker-pool.ts';

/** What decides between the snapshotters. */
export interface SnapshotterRequest {
  readonly store: LayerStore;
  readonly pool: WorkerPool;
  readonly xattrs: OverlayXattrs;
  readonly kind: 'auto' | 'overlay' | 'copy';
  readonly notes: (text: string) => void;
}

/** A snapshotter that finds out at the first tree asked for whether overlayfs works here; until then it costs nothing. */
export class ChosenSnapshotter implements Snapshotter {
  readonly #request: SnapshotterRequest;
  #chosen: Promise<Snapshotter> | undefined;

  constructor(request: SnapshotterRequest) {
    this.#request = request;
  }

  async prepare(lower: LayerStack): Promise<ActiveSnapshot> {
    return (await this.#choose()).prepare(lower);
  }

  async view(stack: LayerStack): Promise<SnapshotView> {
    return (await this.#choose()).view(stack);
  }

  has(layer: LayerId): Promise<boolean> {
    return this.#request.store.has(layer);
  }

  remove(layer: LayerId): Promise<void> {
    return this.#request.store.remove(layer);
  }

  usage(layer: LayerId): Promise<TreeUsage> {
    return this.#request.store.usage(layer);
  }

  list(): AsyncIterable<ListedLayer> {
    return this.#request.store.list();
  }

  #choose(): Promise<Snapshotter> {
    this.#chosen ??= chooseSnapshotter(this.#request);
    return this.#chosen;
  }
}

async function chooseSnapshotter({ store, pool, xattrs, kind, notes }: SnapshotterRequest): Promise<Snapshotter> {
  const reason = kind === 'copy' ? 'not wanted' : await overlayProblem(store, xattrs);
  if (reason === undefined) return new OverlaySnapshotter(store, xattrs);
  if (kind === 'overlay')
    throw new BuildError('KERNEL_FEATURE_MISSING', {
      feature: 'overlayfs',
      reason,
      remedy: 'use --snapshotter=copy, or a store on another file system',
    });
  if (kind === 'auto')
    notes(`overlayfs does not work in ${store.stateDir} (${reason}): trees are copied, which is slow`);
  return new CopySnapshotter({ store, pool, xattrs });
}

/** Why overlayfs does not work on the store's file system; tried once per boot. */
async function overlayProblem(store: LayerStore, xattrs: OverlayXattrs): Promise<string | undefined> {
  const { stateDir } = store;
  const memory = join(stateDir, 'overlay-probe');
  const boot = readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
  const key = `${boot} ${xattrs} ${process.geteuid?.() ?? 0}`;
  if (readText(memory) === `${key} works`) return undefined;
  await using pool = new WorkerPool();
  const problem = await pool.call('probeOverlay', { directory: store.scratchDirectory(), xattrs });
  makeDirectory(stateDir, { mode: 0o700 });
  if (problem === undefined) writeFileSync(memory, `${key} works`);
  return problem;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return undefined;
    throw error;
  }
}
