import { isBuildError } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupDriver, CgroupPlan } from './cgroup.ts';
import { HelperProcess } from './helper-process.ts';
import type { HelperCommand, HelperStart } from './helper-program.ts';
import type { NetworkDriver, NetworkPlan } from './network.ts';

/** A step that has begun: its namespaces and its cgroup are there, its own commands are not. */
export interface StepStart {
  readonly helper: HelperProcess;
  readonly cgroup: CgroupPlan;
  readonly network: NetworkPlan;
}

/** What the beginning of a step depends on. */
interface StartNeed {
  readonly spec: RuntimeSpec;
  readonly network: NetworkDriver;
}

/** The commands of a beginning: the same for all steps that are isolated alike. */
export function toStepStart(cgroup: CgroupPlan, network: NetworkPlan): HelperStart {
  const namespaces = ['mount', 'pid', 'uts', 'ipc', 'time', ...network.born].join(',');
  return {
    keeper: [
      ...thawToKill(cgroup),
      ...cgroup.before,
      ...network.before,
      ['spawn', namespaces, cgroup.into ?? ''],
      ...network.after,
      ...cgroup.after,
    ],
    prelude: [...cgroup.join.map((path) => ['join', path] as const), ...network.prelude],
  };
}

/** The helper is told where somebody may freeze the step: in v1 what is frozen cannot even be killed. */
export function thawToKill({ freezer }: CgroupPlan): HelperCommand[] {
  return freezer === undefined ? [] : [['thaw-to-kill', freezer]];
}

/**
 * Beginnings of steps, one of them always made ahead: starting a process, its namespaces and above all joining a v1 cgroup (10 ms for an RCU
 * grace period) then cost a step no time. The next step is taken to be isolated like the last.
 */
export class StepStarts implements AsyncDisposable {
  readonly #helper: string;
  readonly #cgroups: CgroupDriver;
  #spare: (StepStart & { readonly key: string }) | undefined;
  #state: 'open' | 'closed' = 'open';

  constructor(helper: string, cgroups: CgroupDriver) {
    this.#helper = helper;
    this.#cgroups = cgroups;
  }

  /** @throws SANDBOX_FAILED */
  take(need: StartNeed): StepStart {
    const spare = this.#spare;
    if (spare?.key === this.#keyOf(need) && spare.helper.isWaiting()) {
      this.#spare = undefined;
      return spare;
    }
    return this.#begin(need);
  }

  /** Makes a spare like `need` once the event loop has nothing better to do. */
  prepareNext(need: StartNeed): void {
    setImmediate(() => {
      if (this.#state === 'closed' || this.#spare?.helper.isWaiting()) return;
      try {
        this.#spare = { key: this.#keyOf(need), ...this.#begin(need) };
      } catch (error) {
        // No process or descriptor is left for it: should that last, the next step says so.
        if (!isBuildError(error, 'SANDBOX_FAILED')) throw error;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'closed';
    await this.#spare?.helper.dismiss();
  }

  #begin({ spec, network }: StartNeed): StepStart {
    const cgroup = this.#cgroups.plan(spec);
    const plan = network.plan();
    const helper = HelperProcess.start(this.#helper, toStepStart(cgroup, plan));
    helper.gone().then(plan.release, () => undefined);
    return { cgroup, network: plan, helper };
  }

  #keyOf({ spec, network }: StartNeed): string {
    return `${network.name} ${this.#cgroups.keyOf(spec)}`;
  }
}
