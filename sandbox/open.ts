import { openExecutor } from './open-executor.ts';
import type { Devices } from '../src/core/devices.ts';
import type { Executor, ExpectedProgram } from '../src/core/executor.ts';
import type { Sandbox } from '../src/core/sandbox.ts';
import { LockedCacheMounts } from './cache-mounts.ts';
import { overlayXattrs } from './extended-attributes.ts';
import { WorkerFileBackend } from './file-backend.ts';
import { WorkerLayerCodec } from './layer-codec.ts';
import { LayerStore } from './layer-store.ts';
import { ChosenSnapshotter } from './snapshotter-choice.ts';
import type { NetworkDriverName } from './open-networks.ts';
import { RunRecords } from './run-records.ts';
import { RecordedSteps } from './running-steps.ts';
import { WorkerPool } from './worker-pool.ts';

/** How a sandbox is to work. */
export interface SandboxRequest {
  /** Holds `layers/`, `active/`, `cache-mounts/`, `stat-cache/`, `runs/`, `tmp/`; made when something is first written. */
  readonly stateDir: string;
  /** `auto`: overlayfs where it works. */
  readonly snapshotter?: 'auto' | 'overlay' | 'copy';
  /** An OCI runtime for steps, by name or path; absent: our own helper. */
  readonly runtime?: string;
  /** What fsync does inside steps; absent: `suppress`. */
  readonly syncSteps?: 'suppress' | 'real';
  /** How steps reach the outside that ask for no network in particular; `auto`: the first that works. */
  readonly networkDriver?: NetworkDriverName;
  /** Where CDI specs lie, what a later directory has counts more; absent: /etc/cdi and /var/run/cdi. */
  readonly cdiDirectories?: readonly string[];
  /** `now`: there is going to be work for threads; `lazy`: perhaps everything is known. */
  readonly start?: 'now' | 'lazy';
  /** Told what a person may want to know. */
  readonly notes?: (text: string) => void;
}

/** All that needs the kernel. Opening it costs next to nothing: threads start, directories are made, features are probed at first use. */
export async function openSandbox(request: SandboxRequest): Promise<Sandbox> {
  const { stateDir, snapshotter = 'auto', notes = () => undefined } = request;
  await using opened = new AsyncDisposableStack();
  const xattrs = overlayXattrs();
  const store = opened.use(
    new LayerStore(stateDir, {
      unpack: (o, signal) => pool.call('unpackLayer', { ...o, xattrs }, { signal }),
      measure: (directory) => pool.call('measureTree', { directory }),
    }),
  );
  const pool = opened.use(new WorkerPool());
  if (request.start === 'now') pool.warmUp();
  const work = { store, pool, xattrs } as const;
  const executor = opened.use(new LazyExecutor(request, pool));
  const records = new RunRecords(stateDir);
  records.sweep();
  const parts = opened.move();
  return {
    snapshotter: new ChosenSnapshotter({ ...work, kind: snapshotter, notes }),
    executor,
    files: new WorkerFileBackend(work),
    layers: new WorkerLayerCodec(work),
    cacheMounts: new LockedCacheMounts(work),
    steps: new RecordedSteps(records),
    devices: lazyDevices(request.cdiDirectories),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Devices that are looked for, by code that is loaded, when a step first wants one. */
function lazyDevices(directories: readonly string[] | undefined): Devices {
  let opened: Promise<Devices> | undefined;
  return {
    find: async (wanted) => {
      if (wanted.length === 0) return { names: [], mounts: [], env: [], gids: [] };
      opened ??= import('./cdi-devices.ts').then(({ openCdiDevices }) => openCdiDevices(directories));
      return (await opened).find(wanted);
    },
  };
}

/** An executor opened by its first step. */
class LazyExecutor implements Executor, AsyncDisposable {
  readonly #request: SandboxRequest;
  readonly #pool: WorkerPool;
  #opened: Promise<Executor & AsyncDisposable> | undefined;

  constructor(request: SandboxRequest, pool: WorkerPool) {
    this.#request = request;
    this.#pool = pool;
  }

  expect(program: ExpectedProgram): void {
    // What could not be opened is told to the step that needs it.
    void this.#open()
      .then((opened) => opened.expect(program))
      .catch(() => undefined);
  }

  async run(...args: Parameters<Executor['run']>): ReturnType<Executor['run']> {
    // The step's layer will be one for a worker.
    this.#pool.warmUp();
    return (await this.#open()).run(...args);
  }

  rest(): void {
    // What could not be opened was told to the step that needed it.
    void this.#opened?.then((opened) => opened.rest()).catch(() => undefined);
  }

  #open(): Promise<Executor & AsyncDisposable> {
    const { runtime, syncSteps, networkDriver, stateDir, notes } = this.#request;
    this.#opened ??= openExecutor({
      stateDir,
      ...(runtime !== undefined && { runtime }),
      ...(syncSteps !== undefined && { syncSteps }),
      ...(networkDriver !== undefined && { networkDriver }),
      ...(notes !== undefined && { notes }),
    });
    return this.#opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Why it could not be opened, its first step was told.
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
  }
}
