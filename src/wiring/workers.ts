import { availableParallelism } from 'node:os';
import type { StoreOptions } from '../build-request.ts';
import { openSlots, type Slots } from '../core/concurrency.ts';
import type { ContentStore } from '../core/content.ts';
import type { Registry } from '../core/registry.ts';
import type { Sandbox } from '../core/sandbox.ts';
import type { ImageSource } from '../core/source.ts';
import type { TreeUsage } from '../core/tree-usage.ts';
import type { StepLocks } from '../core/step-locks.ts';
import { lazyRegistry } from './lazy-registry.ts';
import { openSandbox, type SandboxRequest } from '../../sandbox/open.ts';
import { openImageSource } from '../source/image.ts';
import { openCacheIndex, type StoreCacheIndex } from '../store/cache-index.ts';
import { openFetchedTrees, type StoredTrees } from '../store/fetched-trees.ts';
import { openImageNames, type LayoutNames } from '../store/image-names.ts';
import { openLayoutStore } from '../store/layout-store.ts';
import { openStateDir, type StateDir } from '../store/state-dir.ts';
import type { StoreWaitListener } from '../store/store-locks.ts';
import { openStepLocks } from '../store/step-locks.ts';

/** Everything that has a lifetime of its own, opened on one store. Disposing gives up what is held, in reverse order. */
export interface Workers extends AsyncDisposable {
  readonly state: StateDir;
  readonly content: ContentStore;
  readonly index: StoreCacheIndex;
  readonly locks: StepLocks;
  readonly names: LayoutNames;
  readonly downloads: StoredTrees;
  readonly checkouts: StoredTrees;
  readonly sandbox: Sandbox;
  readonly images: ImageSource;
  readonly registry: Registry;
  readonly slots: Slots;
}

/** How the workers begin. */
type WorkerOptions = Pick<SandboxRequest, 'start' | 'notes'> & {
  readonly storeWaits?: StoreWaitListener;
};

/** Constructs all workers; none of them does anything before it is asked. @throws STORE_UNUSABLE */
export async function openWorkers(options: StoreOptions, o: WorkerOptions = {}): Promise<Workers> {
  await using opened = new AsyncDisposableStack();
  const slots = openSlots(availableParallelism());
  const state = opened.use(await openStateDir(options.store, o.storeWaits));
  const content = openLayoutStore(state);
  const index = opened.use(openCacheIndex(state));
  const names = openImageNames(state, content);
  const sandbox = opened.use(await openSandbox({ stateDir: state.sandboxDir, ...sandboxOptions(options), ...o }));
  const registry = opened.use(lazyRegistry(() => connect(options)));
  const { layers, snapshotter: snapshots } = sandbox;
  const images = openImageSource({ content, index, names, registry: () => registry, layers, snapshots, slots });
  const usage = (directory: string): Promise<TreeUsage> => sandbox.files.usage(directory);
  const owned = opened.move();
  return {
    state,
    content,
    index,
    locks: openStepLocks(state),
    names,
    downloads: openFetchedTrees({ state, usage }, state.http),
    checkouts: openFetchedTrees({ state, usage }, state.git),
    sandbox,
    images,
    registry,
    slots,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function sandboxOptions(
  options: StoreOptions,
): Pick<SandboxRequest, 'snapshotter' | 'runtime' | 'syncSteps' | 'networkDriver' | 'cdiDirectories'> {
  const { snapshotter, runtime, syncSteps, networkDriver, cdiDirectories } = options;
  return {
    ...(snapshotter === undefined ? {} : { snapshotter }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(syncSteps === undefined ? {} : { syncSteps }),
    ...(networkDriver === undefined ? {} : { networkDriver }),
    ...(cdiDirectories === undefined ? {} : { cdiDirectories }),
  };
}

/** What the caller says comes before the user's own configuration. */
async function connect(options: StoreOptions): Promise<Registry> {
  const [{ openRegistry }, { readClientConfig }] = await Promise.all([
    import('../registry/http-registry.ts'),
    import('../source/client-config.ts'),
  ]);
  const config = await readClientConfig(process.env);
  const mirrors = new Map(config.registryMirrors);
  for (const [name, hosts] of options.registryMirrors ?? [])
    mirrors.set(name, [...hosts, ...(mirrors.get(name) ?? [])]);
  return openRegistry({
    mirrors,
    insecure: [...(options.insecureRegistries ?? []), ...config.insecureRegistries],
    dockerConfigPath: config.dockerConfigPath,
    userAgent: 'tsbuild',
  });
}
