import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Executor } from '../src/core/executor.ts';
import { openCgroups } from './open-cgroups.ts';
import { NativeExecutor } from './executor-native.ts';
import { helperPath } from './helper-path.ts';
import { insideUserNamespace } from './user-namespace.ts';

/** How steps are to be run. */
export interface ExecutorRequest {
  /** An OCI runtime by name or path (`runc`, `crun`, `/opt/bin/runsc`); absent or `native`: our own helper. */
  readonly runtime?: string;
  /** `suppress`: fsync and its kin succeed at once inside steps; the layer is synced as a whole when it is committed. The default. */
  readonly syncSteps?: 'suppress' | 'real';
  readonly stateDir: string;
  /** Told what a person may want to know, such as a limit that could not be set. */
  readonly notes?: (text: string) => void;
}

/**
 * The executor that fits the request and this machine. Dispose it when no step runs any more.
 * @throws KERNEL_FEATURE_MISSING
 */
export async function openExecutor(request: ExecutorRequest): Promise<Executor & AsyncDisposable> {
  const scratch = join(request.stateDir, 'mount-point');
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const notes = request.notes ?? (() => undefined);
  return new NativeExecutor({
    helper: helperPath(),
    scratch,
    cgroups: openCgroups(notes),
    userNamespace: insideUserNamespace() ? 'nested' : 'initial',
    syncSteps: request.syncSteps ?? 'suppress',
    notes,
  });
}
