/** A mount as config.json has it. */
export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** What an OCI runtime is told for one step, beyond what all are told. */
export interface RuntimeNeeds {
  /** Words ahead of `run`. */
  readonly flags: readonly string[];
  /** Ahead of those that all runtimes get. */
  readonly mounts: readonly OciMount[];
  /** Directories of the host that are to look empty to the runtime. */
  readonly hidden: readonly string[];
  /** Capabilities that it has no names for. */
  readonly unknownCapabilities: readonly string[];
  /** Whether our seccomp filter fits. It refuses what it does not know, which must be what the kernel behind it does not know either. */
  readonly filter: 'fits' | 'does-not-fit';
  /** The network namespace that it is to enter itself; absent where it stays in the one it is started in. */
  readonly networkPath?: string;
}
