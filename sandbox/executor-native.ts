import type { Executor, ExitStatus, ExpectedProgram, OutputListener, RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupDriver } from './cgroup.ts';
import { exitStatusOf } from './exit-status.ts';
import { helperError } from './helper-error.ts';
import { requireStepIds } from './id-map.ts';
import { limitedView } from './limited-view.ts';
import { nameFiles } from './name-files.ts';
import type { NetworkPlan } from './network.ts';
import type { Networks } from './open-networks.ts';
import { runRecord, type RunRecords } from './run-records.ts';
import { seccompFilter } from './seccomp.ts';
import type { OwnDirectory } from './own-directory.ts';
import { openSocketProxies } from './socket-proxy.ts';
import { deviceNodes } from './step-users.ts';
import { toStepProgram } from './step-program.ts';
import { StepStarts } from './step-starts.ts';

/** What a native executor needs to know of its machine. It owns the networks, the cgroups and the directory. */
export interface NativeExecutorOptions {
  /** Path of the compiled helper. */
  readonly helper: string;
  /** An empty directory that every step's mount namespace starts on. */
  readonly scratch: string;
  /** For sockets. */
  readonly own: OwnDirectory;
  readonly cgroups: CgroupDriver;
  readonly networks: Networks;
  readonly userNamespace: 'initial' | 'nested';
  /** `suppress`: fsync and its kin succeed without doing anything. */
  readonly syncSteps: 'suppress' | 'real';
  readonly records: RunRecords;
  readonly notes: (text: string) => void;
}

/** Runs steps by the native helper: namespaces, overlay and program without any other process in between. */
export class NativeExecutor implements Executor, AsyncDisposable {
  readonly #o: NativeExecutorOptions;
  readonly #starts: StepStarts;
  readonly #filters = new Map<string, Uint8Array | undefined>();

  constructor(options: NativeExecutorOptions) {
    this.#o = options;
    this.#starts = new StepStarts(options.helper, options.cgroups);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#starts[Symbol.asyncDispose]();
    await this.#o.networks[Symbol.asyncDispose]();
    await this.#o.own[Symbol.asyncDispose]();
    this.#o.cgroups[Symbol.dispose]();
  }

  expect(program: ExpectedProgram): void {
    this.#o.networks.prepare(program);
  }

  async run(
    spec: RuntimeSpec,
    o: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<ExitStatus> {
    o.signal?.throwIfAborted();
    requireStepIds(spec);
    const { networks } = this.#o;
    networks.prepare(spec);
    await using proxies = await openSocketProxies(spec.mounts, this.#o.own);
    await using start = this.#starts.take(spec);
    // Already while the step and its network begin.
    this.#filter(spec, networks.likelyUsers(spec));
    await using taken = await networks.take(spec);
    o.signal?.throwIfAborted();
    const { cgroup, helper } = start;
    const network = taken.plan;
    const program = toStepProgram(
      { ...spec, mounts: proxies.mounts },
      {
        scratch: this.#o.scratch,
        cgroup,
        network,
        files: nameFiles(spec, network),
        view: this.#o.cgroups.version === 'none' ? [] : limitedView(spec.resources),
        seccomp: this.#filter(spec, network.users),
        userNamespace: this.#o.userNamespace,
      },
    );
    using _ = this.#o.records.add(runRecord(spec, cgroup));
    const ended = helper.run(program.step, o);
    this.#starts.prepareNext(spec);
    const outcome = await ended;
    for (const note of outcome.notes) this.#o.notes(note);
    if (outcome.failure !== undefined) throw helperError(outcome.failure, spec.process.args);
    return exitStatusOf(outcome.ended, cgroup.readings(outcome.readings), spec);
  }

  rest(): void {
    this.#starts.rest();
    this.#o.networks.rest();
  }

  /** Nearly all steps of a build have the same filter. */
  #filter(spec: RuntimeSpec, users: NetworkPlan['users']): Uint8Array | undefined {
    const { capabilities } = spec.process;
    const request = { confinement: spec.confinement, capabilities, deviceNodes: deviceNodes(spec, users) };
    const key = JSON.stringify(request);
    if (!this.#filters.has(key)) this.#filters.set(key, seccompFilter({ ...request, sync: this.#o.syncSteps }));
    return this.#filters.get(key);
  }
}
