import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError } from '../src/core/error.ts';
import type { Executor, ExitStatus, OutputListener, RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupDriver } from './cgroup.ts';
import { groupName } from './cgroup-name.ts';
import { exitStatusOf } from './exit-status.ts';
import { helperError } from './helper-error.ts';
import { HelperRunner } from './helper-runner.ts';
import { nameFiles } from './name-files.ts';
import { networkDriver } from './network.ts';
import { ociConfig } from './oci-bundle.ts';
import { toOciProgram } from './oci-program.ts';
import { runtimeFailure } from './oci-runtime-failure.ts';
import { openSocketProxies } from './socket-proxy.ts';

/** What an executor by OCI runtime needs to know. */
export interface OciExecutorOptions {
  readonly helper: string;
  /** Absolute path of runc, crun or another with their command line. */
  readonly runtime: string;
  /** For bundles and the runtime's own state; ours alone. */
  readonly directory: string;
  readonly scratch: string;
  readonly cgroups: CgroupDriver;
  readonly syncSteps: 'suppress' | 'real';
  readonly notes: (text: string) => void;
}

/**
 * Runs steps by an OCI runtime. The helper makes the mounts, out of the host's sight, and keeps the same promises about the end. A program
 * that dies by a signal is told as its exit code, 128 and the signal's number, because that is all a runtime tells.
 */
export class OciExecutor implements Executor, AsyncDisposable {
  readonly #o: OciExecutorOptions;
  readonly #runner: HelperRunner;

  constructor(options: OciExecutorOptions) {
    this.#o = options;
    this.#runner = new HelperRunner(options.helper);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#runner[Symbol.dispose]();
  }

  async run(
    spec: RuntimeSpec,
    o: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<ExitStatus> {
    o.signal?.throwIfAborted();
    await using proxies = await openSocketProxies(spec.mounts);
    using bundle = new Bundle(this.#o.directory);
    const network = networkDriver(spec.network).plan();
    const cgroup = this.#o.cgroups.plan(spec);
    const { scratch, runtime } = this.#o;
    const step = toOciProgram(
      { ...spec, mounts: proxies.mounts },
      { command: bundle.command(runtime), scratch, cgroup, files: nameFiles(spec, network.loopback) },
    );
    const { rootfs, mounts } = step;
    const sync = this.#o.syncSteps;
    bundle.write(ociConfig(spec, { rootfs, mounts, network: network.namespace, cgroupsPath: cgroup.runtimePath, sync }));
    const outcome = await this.#runner.run(step.program, o);
    for (const note of outcome.notes) this.#o.notes(note);
    if (outcome.failure?.command === 'exec') {
      throw new BuildError('SANDBOX_FAILED', { step: `run ${runtime}`, reason: outcome.failure.subject }, { cause: outcome.failure });
    }
    if (outcome.failure !== undefined) throw helperError(outcome.failure, spec.process.args);
    const failure = runtimeFailure(bundle.log(), spec.process);
    if (failure !== undefined) throw failure;
    return exitStatusOf(outcome.ended, cgroup.readings(outcome.readings), spec);
  }
}

/** The directory of one container: config.json, the runtime's state and its log. */
class Bundle implements Disposable {
  readonly #name = groupName();
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, this.#name);
    mkdirSync(join(this.#path, 'state'), { recursive: true, mode: 0o700 });
  }

  /** `--keep`: the cgroup's counters are read before it is removed, with everything else of the container. */
  command(runtime: string): readonly string[] {
    const log = ['--log', join(this.#path, 'log'), '--log-format', 'json'];
    return [runtime, '--root', join(this.#path, 'state'), ...log, 'run', '--keep', '--bundle', this.#path, this.#name];
  }

  write(config: object): void {
    writeFileSync(join(this.#path, 'config.json'), JSON.stringify(config), { mode: 0o600 });
  }

  log(): string {
    return readFileSync(join(this.#path, 'log'), 'utf8');
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}
