import type { LockOptions } from './lock-wait.ts';
import type { Tree } from './tree.ts';

/** What identifies and seeds a cache mount. */
export interface CacheMountRequest {
  readonly id: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  /** Owner and mode of the directory when it is made; they belong to its identity. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seed?: { readonly tree: Tree; readonly path: string };
}

/** A cache mount's directory, ours until disposed. */
export interface CacheMountLease extends AsyncDisposable {
  readonly path: string;
}

/** Directories that outlive builds (`RUN --mount=type=cache`), shared by all processes on one store. */
export interface CacheMounts {
  /** Waits while a `locked` one is in use elsewhere, in this process or another. */
  acquire(request: CacheMountRequest, o?: LockOptions): Promise<CacheMountLease>;
  /** All directories, with bytes used and the time of last use. */
  list(): Promise<
    readonly { readonly id: string; readonly path: string; readonly bytes: number; readonly lastUsedMs: number }[]
  >;
  /** What lies in the directory of `id` that was used last, as one tar stream; empty where there is none. Waits while a `locked` one is in use. */
  exportTar(id: string, o?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<Uint8Array>;
  /** Removes the directories of `id` that nothing uses; gives the bytes freed. */
  remove(id: string): Promise<number>;
}
