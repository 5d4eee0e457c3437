import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { BuildError } from '../src/core/error.ts';
import type { Executor, ExitStatus, OutputListener, RuntimeSpec } from '../src/core/executor.ts';
import { defaultPids, type CgroupDriver, type CgroupPlan } from './cgroup.ts';
import { groupName } from './cgroup-name.ts';
import { exitStatusOf } from './exit-status.ts';
import { helperError } from './helper-error.ts';
import type { HelperProgram } from './helper-program.ts';
import type { HelperFailure } from './helper-record.ts';
import { HelperProcess } from './helper-process.ts';
import { requireStepIds } from './id-map.ts';
import { limitedView } from './limited-view.ts';
import { nameFiles } from './name-files.ts';
import type { NetworkPlan } from './network.ts';
import type { Networks } from './open-networks.ts';
import { ociConfig } from './oci-bundle.ts';
import { toOciProgram } from './oci-program.ts';
import { lateFailure, runtimeFailure, silentFailure } from './oci-runtime-failure.ts';
import { runRecord, type RunRecords } from './run-records.ts';
import { openSocketProxies } from './socket-proxy.ts';

/** What an executor by OCI runtime needs to know. It owns the networks and the cgroups. */
export interface OciExecutorOptions {
  readonly helper: string;
  /** Absolute path of runc, crun or another with their command line. */
  readonly runtime: string;
  /** Whether it can leave a container's cgroup for us to read (`run --keep`). */
  readonly keep: 'known' | 'unknown';
  /** For bundles and the runtime's own state; ours alone. */
  readonly directory: string;
  readonly scratch: string;
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
    this.#o.cgroups[Symbol.dispose]();
  }

  async run(
    spec: RuntimeSpec,
    o: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<ExitStatus> {
    o.signal?.throwIfAborted();
    refuseProc(spec);
    requireStepIds(spec);
    this.#o.networks.prepare(spec);
    await using proxies = await openSocketProxies(spec.mounts);
    await using network = await this.#o.networks.take(spec);
    o.signal?.throwIfAborted();
    using bundle = new Bundle(this.#o.directory);
    const { program, cgroup } = this.#prepare({ ...spec, mounts: proxies.mounts }, { bundle, network: network.plan });
    const stderr = new FirstWords();
    const output: OutputListener = (stream, chunk) => {
      if (stream === 'stderr') stderr.push(chunk);
      o.output(stream, chunk);
    };
    using _ = this.#o.records.add(runRecord(spec, cgroup));
    const outcome = await HelperProcess.start(this.#o.helper, program).run(program.step, { ...o, output });
    for (const note of outcome.notes) this.#o.notes(note);
    if (outcome.failure !== undefined) throw this.#helperFailure(outcome.failure, spec);
    const failure = runtimeFailure(bundle.log(), spec.process);
    if (failure !== undefined) throw failure;
    const status = exitStatusOf(outcome.ended, cgroup.readings(outcome.readings), spec);
    if (!bundle.hasStarted()) throw silentFailure(status, stderr.text);
    const late =
      status.kind === 'exited' && status.code === 1 ? lateFailure(stderr.text, spec.process.args) : undefined;
    if (late !== undefined) throw late;
    return status;
  }

  rest(): void {
    this.#o.networks.rest();
  }

  #prepare(
    spec: RuntimeSpec,
    { bundle, network }: { readonly bundle: Bundle; readonly network: NetworkPlan },
  ): { readonly program: HelperProgram; readonly cgroup: CgroupPlan } {
    const { scratch, userNamespace, syncSteps: sync, capabilities } = this.#o;
    const cgroup = this.#o.cgroups.plan(spec);
    const files = nameFiles(spec, network);
    const { program, rootfs, mounts } = toOciProgram(spec, {
      command: bundle.command(this.#o),
      scratch,
      cgroup,
      network,
      files,
      view: this.#o.cgroups.version === 'none' ? [] : limitedView(spec.resources),
    });
    const { runtimePath: cgroupsPath } = cgroup;
    const pids = cgroupsPath === undefined ? undefined : defaultPids();
    bundle.write(
      ociConfig(spec, {
        rootfs,
        mounts,
        network: network.namespace,
        userNamespace,
        cgroupsPath,
        pids,
        sync,
        capabilities,
      }),
    );
    return { program, cgroup };
  }

  #helperFailure(failure: HelperFailure, spec: RuntimeSpec): BuildError {
    if (failure.command !== 'exec') return helperError(failure, spec.process.args);
    return new BuildError('SANDBOX_FAILED', { step: `run ${this.#o.runtime}`, reason: `errno ${failure.errno}` });
  }
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
    mkdirSync(join(this.#path, 'state'), { recursive: true, mode: 0o700 });
  }

  /** With `--keep` the cgroup's counters can be read before it is removed, with everything else of the container. */
  command({ runtime, keep }: OciExecutorOptions): readonly string[] {
    const log = ['--log', join(this.#path, 'log'), '--log-format', 'json'];
    const options = ['--pid-file', join(this.#path, 'pid'), ...(keep === 'known' ? ['--keep'] : [])];
    return [
      runtime,
      '--root',
      join(this.#path, 'state'),
      ...log,
      'run',
      ...options,
      '--bundle',
      this.#path,
      this.#name,
    ];
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
  hasStarted(): boolean {
    return existsSync(join(this.#path, 'pid'));
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}
