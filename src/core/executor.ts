import type { ResourceLimits } from './graph.ts';
import type { ResolvedUser } from './file-backend.ts';
import type { RootMount } from './snapshot.ts';

/** What may be done with a device: to read, to write, to make a node of it. */
export interface DeviceAccess {
  readonly read: boolean;
  readonly write: boolean;
  readonly mknod: boolean;
}

/** Something attached to a step's root. `destination` is absolute; it is resolved inside the root, made if missing, and its empty stub is removed afterwards. */
export type RuntimeMount =
  | {
      /** What lies at `path` in a tree. With access `read-write` the tree must be an active snapshot's. */
      readonly type: 'snapshot';
      readonly root: RootMount;
      readonly path: string;
      readonly destination: string;
      readonly access: 'read-only' | 'read-write';
    }
  | {
      /** A directory or file of the store, such as a cache mount's, or one that comes with a device; `path` is resolved inside `source` without leaving it. */
      readonly type: 'bind';
      readonly source: string;
      readonly path: string;
      readonly destination: string;
      readonly access: 'read-only' | 'read-write';
    }
  | { readonly type: 'tmpfs'; readonly destination: string; readonly sizeBytes?: number; readonly mode: number }
  | {
      /** A file in memory (a secret, a script), read-only, never on a disk. */
      readonly type: 'file';
      readonly destination: string;
      readonly data: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      /** A device of the host, `source` there, that the step may use as far as `access` goes. The node is the step's own wherever one can be made. */
      readonly type: 'device';
      readonly source: string;
      readonly destination: string;
      readonly kind: 'character' | 'block';
      readonly major: number;
      readonly minor: number;
      readonly access: DeviceAccess;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      /** A Unix socket of the host that this build may use (an ssh agent). */
      readonly type: 'socket';
      readonly source: string;
      readonly destination: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** What a step may do and see: the part of the OCI runtime-spec's config.json that a build needs, with trees instead of paths. */
export interface RuntimeSpec {
  readonly process: {
    readonly args: readonly string[];
    /** `NAME=value`, complete: nothing of the host's environment is added. */
    readonly env: readonly string[];
    readonly cwd: string;
    readonly user: ResolvedUser;
    readonly umask: number;
    /** `CAP_CHOWN` … : permitted, effective and bounding; inheritable and ambient are empty. `all` for --security=insecure. */
    readonly capabilities: readonly string[] | 'all';
    readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
  };
  readonly root: RootMount;
  readonly hostname: string;
  /** In order: later ones lie over earlier ones. */
  readonly mounts: readonly RuntimeMount[];
  readonly extraHosts: readonly { readonly host: string; readonly address: string }[];
  readonly network: 'default' | 'none' | 'host';
  /** `default`: Docker's seccomp filter, masked and read-only paths of /proc and /sys. */
  readonly confinement: 'default' | 'unconfined';
  readonly shmSizeBytes: number;
  readonly resources: ResourceLimits;
  readonly cgroupParent?: string;
}

/** What a finished step used; absent where the kernel could not tell. */
export interface ResourceUsage {
  readonly cpuMs?: number;
  readonly peakMemoryBytes?: number;
  readonly ioReadBytes?: number;
  readonly ioWriteBytes?: number;
}

/** How a step ended. */
export type ExitStatus = (
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: string }
  | { readonly kind: 'out-of-memory'; readonly limitBytes: number; readonly peakBytes: number }
) & { readonly usage: ResourceUsage };

/** One stretch of a step's output. */
export type OutputListener = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;

/** What of a program is known before its tree is there. */
export type ExpectedProgram = Pick<RuntimeSpec, 'network'> & { readonly process: Pick<RuntimeSpec['process'], 'env'> };

/** Runs programs in isolation from the host. */
export interface Executor {
  /** A program like this is going to be run at once: what takes long begins, beside the making of its tree. Nothing fails here. */
  expect(program: ExpectedProgram): void;

  /**
   * Runs one program to its end; when this settles, all of its processes and mounts are gone, and its cgroups are going.
   * Aborting kills the step, and rejects with the signal's reason once everything is gone.
   * @throws EXEC_NOT_STARTED (no such program, bad cwd), KERNEL_FEATURE_MISSING, SANDBOX_FAILED
   */
  run(
    spec: RuntimeSpec,
    o: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<ExitStatus>;

  /** No program is expected for a while: what is kept ready for the next one begins to go. Running one nevertheless is only slower. */
  rest(): void;
}
