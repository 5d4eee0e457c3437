import type { CacheMounts } from './cache-mounts.ts';
import type { Devices } from './devices.ts';
import type { Executor } from './executor.ts';
import type { FileBackend } from './file-backend.ts';
import type { LayerCodec } from './layer-codec.ts';
import type { RunningSteps } from './running-steps.ts';
import type { Snapshotter } from './snapshot.ts';

/** All that needs the kernel, as one disposable. */
export interface Sandbox extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
  readonly executor: Executor;
  readonly files: FileBackend;
  readonly layers: LayerCodec;
  readonly cacheMounts: CacheMounts;
  readonly steps: RunningSteps;
  readonly devices: Devices;
}
