import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Executor, ExitStatus, OutputListener, ResourceUsage, RuntimeSpec } from '../src/core/executor.ts';
import { isErrno } from '../src/core/error.ts';
import type { CgroupDriver, CgroupReadings } from './cgroup.ts';
import { helperError } from './helper-error.ts';
import { networkDriver } from './network.ts';
import { hostsFile, resolvConf } from './rootfs.ts';
import { HelperRunner, type HelperOutcome } from './helper-runner.ts';
import { seccompFilter } from './seccomp.ts';
import { openSocketProxies } from './socket-proxy.ts';
import { toStepProgram, type StepPlan } from './step-program.ts';

/** What a native executor needs to know of its machine. */
export interface NativeExecutorOptions {
  /** Path of the compiled helper. */
  readonly helper: string;
  /** An empty directory that every step's mount namespace starts on. */
  readonly scratch: string;
  readonly cgroups: CgroupDriver;
  readonly userNamespace: 'initial' | 'nested';
  /** `suppress`: fsync and its kin succeed without doing anything. */
  readonly syncSteps: 'suppress' | 'real';
  readonly notes: (text: string) => void;
}

/** Runs steps by the native helper: namespaces, overlay and program without any other process in between. */
export class NativeExecutor implements Executor, AsyncDisposable {
  readonly #o: NativeExecutorOptions;
  readonly #runner: HelperRunner;
  readonly #told = new Set<string>();
  readonly #filters = new Map<string, Uint8Array | undefined>();

  constructor(options: NativeExecutorOptions) {
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
    const plan = this.#plan(spec);
    const program = toStepProgram({ ...spec, mounts: proxies.mounts }, plan);
    const outcome = await this.#runner.run(program, o);
    for (const note of outcome.notes) this.#tell(note);
    if (outcome.failure !== undefined) throw helperError(outcome.failure, spec.process.args);
    return exitStatus(outcome, plan.cgroup.readings(outcome.readings), spec);
  }

  /** Each thing once: steps are many, the machine is one. */
  #tell(note: string): void {
    if (this.#told.has(note)) return;
    this.#told.add(note);
    this.#o.notes(note);
  }

  /** Nearly all steps of a build have the same filter. */
  #filter({ confinement, process: { capabilities } }: RuntimeSpec): Uint8Array | undefined {
    const key = JSON.stringify([confinement, capabilities]);
    if (!this.#filters.has(key)) {
      this.#filters.set(key, seccompFilter({ confinement, capabilities, sync: this.#o.syncSteps }));
    }
    return this.#filters.get(key);
  }

  #plan(spec: RuntimeSpec): StepPlan {
    const network = networkDriver(spec.network).plan();
    const { loopback } = network;
    const host = readText('/etc/resolv.conf') ?? '';
    const upstream = loopback === 'reachable' ? undefined : readText('/run/systemd/resolve/resolv.conf');
    return {
      scratch: this.#o.scratch,
      cgroup: this.#o.cgroups.plan(spec),
      network,
      files: { hosts: hostsFile(spec.hostname, spec.extraHosts), resolvConf: resolvConf({ host, upstream, loopback }) },
      seccomp: this.#filter(spec),
      userNamespace: this.#o.userNamespace,
    };
  }
}

function exitStatus({ ended }: HelperOutcome, readings: CgroupReadings, spec: RuntimeSpec): ExitStatus {
  const { cpuMs, peakMemoryBytes, ioReadBytes, ioWriteBytes } = readings;
  const usage: ResourceUsage = {
    ...(ended === undefined && cpuMs === undefined ? {} : { cpuMs: cpuMs ?? (ended?.cpuUs ?? 0) / 1000 }),
    ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }),
    ...(ioReadBytes === undefined ? {} : { ioReadBytes }),
    ...(ioWriteBytes === undefined ? {} : { ioWriteBytes }),
  };
  const signal = ended === undefined ? 9 : ended.status & 0x7f;
  const code = ended === undefined ? 0 : (ended.status >> 8) & 0xff;
  if ((signal !== 0 || code !== 0) && readings.oomKills > 0) {
    // Without a limit of its own the step fell under one of the groups above, which its peak has reached.
    const limitBytes = spec.resources.memoryBytes ?? peakMemoryBytes ?? 0;
    return { kind: 'out-of-memory', limitBytes, peakBytes: peakMemoryBytes ?? limitBytes, usage };
  }
  return signal === 0 ? { kind: 'exited', code, usage } : { kind: 'signaled', signal: signalName(signal), usage };
}

function signalName(number: number): string {
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  return known?.[0] ?? `SIG${number}`;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
