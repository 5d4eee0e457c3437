import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { BuildError } from '../src/core/error.ts';
import type { Executor, ExitStatus, ExpectedProgram, OutputListener, RuntimeSpec } from '../src/core/executor.ts';
import { defaultPids, type CgroupDriver, type CgroupPlan } from './cgroup.ts';
import { groupName } from './cgroup-name.ts';
import { exitStatusOf } from './exit-status.ts';
import { helperError } from './helper-error.ts';
import type { HelperProgram } from './helper-program.ts';
import type { HelperFailure } from './helper-record.ts';
import { HelperProcess, type HelperOutcome } from './helper-process.ts';
import { requireStepIds } from './id-map.ts';
import { limitedView } from './limited-view.ts';
import { makeDirectory } from './make-directory.ts';
import { nameFiles } from './name-files.ts';
import type { NetworkPlan } from './network.ts';
import type { Networks } from './open-networks.ts';
import { ociConfig, type BundleCgroup } from './oci-bundle.ts';
import { toOciProgram } from './oci-program.ts';
import type { OciRuntime } from './oci-runtime.ts';
import { lateFailure, processLimitFailure, runtimeFailure, silentFailure } from './oci-runtime-failure.ts';
import { runRecord, type RunRecords } from './run-records.ts';
import type { OwnDirectory } from './own-directory.ts';
import type { RuntimeNeeds } from './runtime-needs.ts';
import { openSocketProxies } from './socket-proxy.ts';

/** What an executor by OCI runtime needs to know. It owns the networks, the cgroups and the directory. */
export interface OciExecutorOptions {
  readonly helper: string;
  readonly runtime: OciRuntime;
  /** For bundles and the runtime's own state; ours alone. */
  readonly directory: string;
  readonly scratch: string;
  /** For sockets. */
  readonly own: OwnDirectory;
  readonly cgroups: CgroupDriver;
  readonly userNamespace: 'initial' | 'nested';
  readonly networks: Networks;
  readonly syncSteps: 'suppress' | 'real';
  readonly records: RunRecords;
  readonly notes: (text: string) => void;
  /** Our own permitted capabilities as a bit mask. */
  readonly capabilities: bigint;
}

/**
 * Runs steps by an OCI runtime. The helper makes the mounts, out of the host's sight, and keeps the same promises about the end. A program
 * that dies by a signal is told as its exit code, 128 and the signal's number, because that is all a runtime tells.
 */
export class OciExecutor implements Executor, AsyncDisposable {
  readonly #o: OciExecutorOptions;

  constructor(options: OciExecutorOptions) {
    this.#o = options;
  }

  async [Symbol.asyncDispose](): Promise<void> {
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
    const { runtime } = this.#o;
    refuseProc(spec);
    requireStepIds(spec);
    this.#o.networks.prepare(spec);
    await using proxies = await openSocketProxies(spec.mounts, this.#o.own);
    await using network = await this.#o.networks.take(spec, runtime.kernel === 'own' ? 'taken' : 'kept');
    o.signal?.throwIfAborted();
    using bundle = new Bundle(this.#o.directory);
    const needs = runtime.needs(spec, network.plan);
    const at = { bundle, needs, network: network.plan };
    const { program, cgroup } = this.#prepare({ ...spec, mounts: proxies.mounts }, at);
    const stderr = new FirstWords();
    const output: OutputListener = (stream, chunk) => {
      if (stream === 'stderr') stderr.push(chunk);
      o.output(stream, chunk);
    };
    using _ = this.#o.records.add(runRecord(spec, cgroup));
    await using helper = HelperProcess.start(this.#o.helper, program);
    const outcome = await helper.run(program.step, { ...o, output });
    for (const note of outcome.notes) this.#o.notes(note);
    return this.#statusOf(outcome, {
      spec,
      cgroup,
      log: bundle.log(),
      container: bundle.container(),
      stderr: stderr.text,
    });
  }

  rest(): void {
    this.#o.networks.rest();
  }

  #prepare(
    spec: RuntimeSpec,
    { bundle, needs, network }: StepPlace,
  ): { readonly program: HelperProgram; readonly cgroup: CgroupPlan } {
    const { scratch, runtime, userNamespace, syncSteps: sync, capabilities, cgroups } = this.#o;
    const cgroup = cgroups.plan(spec);
    const { program, rootfs, mounts } = toOciProgram(spec, {
      command: bundle.command(runtime, needs.flags),
      scratch,
      cgroup,
      cgroupMaker: runtime.cgroup,
      network,
      files: nameFiles(spec, network),
      view: cgroups.version === 'none' ? [] : limitedView(spec.resources),
      hidden: needs.hidden,
    });
    bundle.write(
      ociConfig(spec, {
        rootfs,
        mounts,
        network: network.namespace,
        needs,
        userNamespace,
        cgroup: runtime.cgroup === 'helper' ? 'nothing' : bundleCgroup(cgroup),
        sync,
        capabilities,
      }),
    );
    return { program, cgroup };
  }

  /** @throws EXEC_NOT_STARTED, SANDBOX_FAILED where the step's program was not run, or not to its end. */
  #statusOf(outcome: HelperOutcome, { spec, cgroup, log, container, stderr }: StepTraces): ExitStatus {
    if (outcome.failure !== undefined) throw this.#helperFailure(outcome.failure, spec);
    const readings = cgroup.readings(outcome.readings);
    const status = exitStatusOf(outcome.ended, readings, spec);
    // What a runtime says that died of it is no failure of its own, be it before the step has started.
    if (status.kind === 'out-of-memory') return status;
    const atLimit = readings.refusedProcesses > 0 && this.#o.runtime.kernel === 'own' && isFailure(status);
    const failure = atLimit ? processLimitFailure(spec) : runtimeFailure(log, spec.process);
    if (failure !== undefined) throw failure;
    if (container === 'none') throw silentFailure(status, stderr);
    const late = status.kind === 'exited' && status.code === 1 ? lateFailure(stderr, spec.process) : undefined;
    if (late !== undefined) throw late;
    return status;
  }

  #helperFailure(failure: HelperFailure, spec: RuntimeSpec): BuildError {
    if (failure.command !== 'exec') return helperError(failure, spec.process.args);
    return new BuildError('SANDBOX_FAILED', { step: `run ${this.#o.runtime.path}`, reason: `errno ${failure.errno}` });
  }
}

function isFailure(status: ExitStatus): boolean {
  return status.kind !== 'exited' || status.code !== 0;
}

/** What a step's program is made for. */
interface StepPlace {
  readonly bundle: Bundle;
  readonly needs: RuntimeNeeds;
  readonly network: NetworkPlan;
}

/** What is left of a step, beside what the helper told. */
interface StepTraces {
  readonly spec: RuntimeSpec;
  readonly cgroup: CgroupPlan;
  /** The runtime's own. */
  readonly log: string;
  readonly container: 'made' | 'none';
  /** Its beginning. */
  readonly stderr: string;
}

function bundleCgroup({ runtimePath }: CgroupPlan): BundleCgroup {
  return { path: runtimePath, pids: runtimePath === undefined ? undefined : defaultPids() };
}

/** The beginning of a stream as text; enough to know a line by. */
class FirstWords {
  text = '';

  push(chunk: Uint8Array): void {
    if (this.text.length < 4096) this.text += Buffer.from(chunk).toString();
  }
}

/** What the native helper refuses by descriptor, a runtime may not: the working directory and mounts in /proc (CVE-2024-21626). */
function refuseProc({ process: { args, cwd }, mounts }: RuntimeSpec): void {
  if (isInProc(cwd)) {
    throw new BuildError('EXEC_NOT_STARTED', {
      command: args.join(' '),
      reason: `working directory ${cwd}: lies in /proc`,
    });
  }
  const mount = mounts.find(({ destination }) => isInProc(destination));
  if (mount !== undefined) {
    throw new BuildError('SANDBOX_FAILED', { step: `mount ${mount.destination}`, reason: 'mount point lies in /proc' });
  }
}

function isInProc(path: string): boolean {
  return /^\/+proc(\/|$)/.test(posix.normalize(path));
}

/** The directory of one container: config.json, the runtime's state and its log. */
class Bundle implements Disposable {
  readonly #name = groupName();
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, this.#name);
    makeDirectory(join(this.#path, 'state'), { mode: 0o700 });
  }

  command({ path, flags, runFlags }: OciRuntime, stepFlags: readonly string[]): readonly string[] {
    const at = (name: string): string => join(this.#path, name);
    const log = ['--log', at('log'), '--log-format', 'json'];
    const options = ['--pid-file', at('pid'), ...runFlags, '--bundle', this.#path];
    return [path, ...flags, ...stepFlags, '--root', at('state'), ...log, 'run', ...options, this.#name];
  }

  write(config: object): void {
    writeFileSync(join(this.#path, 'config.json'), JSON.stringify(config), { mode: 0o600 });
  }

  /** Empty where the runtime did not get as far as that. */
  log(): string {
    const path = join(this.#path, 'log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Whether there was a container: a runtime writes its process id down once it has made one. */
  container(): 'made' | 'none' {
    return existsSync(join(this.#path, 'pid')) ? 'made' : 'none';
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}
