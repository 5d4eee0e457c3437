import type { RuntimeMount } from './executor.ts';
import type { ExecOp } from './graph.ts';

/** What a step gets with its devices. */
export interface StepDevices {
  /** `vendor/class=name` of each device found. */
  readonly names: readonly string[];
  readonly mounts: readonly RuntimeMount[];
  /** `NAME=value`; a later one counts. */
  readonly env: readonly string[];
  /** Groups that the process is in besides. */
  readonly gids: readonly number[];
}

/** The devices of this machine that have names (Container Device Interface). */
export interface Devices {
  /**
   * Finds what `wanted` names: `vendor/class=name`, `vendor/class=*` for all of a class, `vendor/class` for its first. What is not there is
   * left out where it is optional.
   * @throws DEVICE_NOT_FOUND, DEVICE_INVALID for one that asks for what no build gives
   */
  find(wanted: ExecOp['devices']): Promise<StepDevices>;
}
