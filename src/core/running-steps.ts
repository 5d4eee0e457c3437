/** A step that runs at this moment, in whichever process builds on the same store. */
export interface RunningStep {
  /** Unique in the store while the step runs. */
  readonly id: string;
  /** The process that builds. */
  readonly pid: number;
  readonly command: string;
  readonly startedMs: number;
  /** `unknown` where it has no cgroup. */
  readonly state: 'running' | 'frozen' | 'unknown';
  /** What it has used until now; absent where the kernel does not tell. */
  readonly cpuMs?: number;
  readonly memoryBytes?: number;
}

/** What can be done to a running step. `kill` makes its build fail. */
export type StepControl = 'freeze' | 'thaw' | 'kill';

/** The running steps of all builds on one store. */
export interface RunningSteps {
  /** Oldest first. */
  list(): Promise<readonly RunningStep[]>;
  /** Settles when it is done. @throws KERNEL_FEATURE_MISSING where the step has no cgroup, SANDBOX_FAILED */
  control(id: string, what: StepControl): Promise<void>;
}
