import { join } from 'node:path';
import type { Executor } from '../src/core/executor.ts';
import { NativeExecutor } from './executor-native.ts';
import { OciExecutor } from './executor-oci.ts';
import { makeDirectory } from './make-directory.ts';
import { openRuntime } from './oci-runtime.ts';
import { Networks, type NetworkDriverName } from './open-networks.ts';
import { ownCapabilities } from './own-capabilities.ts';
import { hasOneId } from './id-map.ts';
import { helperPath } from './helper-path.ts';
import { networkUsers } from './step-users.ts';
import { RunRecords } from './run-records.ts';
import { openCgroups } from './open-cgroups.ts';
import { OwnDirectory } from './own-directory.ts';
import { insideUserNamespace } from './user-namespace.ts';

const ONE_ID =
  'root is the only user of steps, and of files: /etc/subuid and /etc/subgid give no further ids, or newuidmap is missing; other owners, USER and apt-get fail';

/** How steps are to be run. */
export interface ExecutorRequest {
  /** An OCI runtime by name or path (`runc`, `crun`, `/opt/bin/runsc`); absent or `native`: our own helper. */
  readonly runtime?: string;
  /** `suppress`: fsync and its kin succeed at once inside steps; the layer is synced as a whole when it is committed. The default. */
  readonly syncSteps?: 'suppress' | 'real';
  /** How steps reach the outside that ask for no network in particular. */
  readonly networkDriver?: NetworkDriverName;
  readonly stateDir: string;
  /** Told what a person may want to know, such as a limit that could not be set. */
  readonly notes?: (text: string) => void;
}

/**
 * The executor that fits the request and this machine. Dispose it when no step runs any more.
 * @throws KERNEL_FEATURE_MISSING where the helper or the runtime is not there.
 */
export async function openExecutor(request: ExecutorRequest): Promise<Executor & AsyncDisposable> {
  const notes = onceEach(request.notes ?? (() => undefined));
  if (hasOneId()) notes(ONE_ID);
  const scratch = join(request.stateDir, 'mount-point');
  makeDirectory(scratch, { mode: 0o700 });
  const helper = helperPath();
  const users = networkUsers(request.runtime);
  const common = {
    helper,
    scratch,
    // Swept with what layers are made in.
    own: new OwnDirectory(join(request.stateDir, 'active'), () => undefined),
    networks: new Networks({ driver: request.networkDriver ?? 'auto', helper, users, notes }),
    userNamespace: insideUserNamespace() ? 'nested' : 'initial',
    syncSteps: request.syncSteps ?? 'suppress',
    records: new RunRecords(request.stateDir),
    notes,
  } as const;
  if (request.runtime === undefined || request.runtime === 'native') {
    return new NativeExecutor({ ...common, cgroups: openCgroups(notes) });
  }
  return new OciExecutor({
    ...common,
    runtime: await openRuntime(request.runtime),
    cgroups: openCgroups(notes),
    directory: join(request.stateDir, 'runtime'),
    capabilities: ownCapabilities(),
  });
}

/** Tells each thing once: steps are many, the machine is one. */
function onceEach(tell: (text: string) => void): (text: string) => void {
  const told = new Set<string>();
  return (text) => {
    if (!told.has(text)) tell(text);
    told.add(text);
  };
}
