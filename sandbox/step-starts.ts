import { isBuildError } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupDriver, CgroupPlan } from './cgroup.ts';
import { HelperProcess } from './helper-process.ts';
import type { HelperCommand, HelperStart } from './helper-program.ts';
import type { NetworkPlan } from './network.ts';

/** A step that has begun: its namespaces and its cgroup are there, its own commands are not. Disposing ends it where nothing else did. */
export interface StepStart extends AsyncDisposable {
  readonly helper: HelperProcess;
  readonly cgroup: CgroupPlan;
}

/** What the beginning of a step depends on. */
interface StartNeed {
  readonly spec: RuntimeSpec;
  /** Namespaces beside those that every step has. */
  readonly born: NetworkPlan['born'];
}

/** The commands of a beginning: the same for all steps that are isolated alike. */
export function toStepStart(cgroup: CgroupPlan, born: NetworkPlan['born']): HelperStart {
  const namespaces = ['mount', 'pid', 'uts', 'ipc', 'time', ...born].join(',');
  return {
    keeper: [...thawToKill(cgroup), ...cgroup.before, ['spawn', namespaces, cgroup.into ?? ''], ...cgroup.after],
    prelude: cgroup.join.map((path) => ['join', path] as const),
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
  #ending: Promise<unknown> | undefined;

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

  /** Begins to end the spare. */
  rest(): void {
    this.#ending = Promise.all([this.#ending, this.#spare?.helper.dismiss()]);
    this.#spare = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'closed';
    this.rest();
    await this.#ending;
  }

  #begin({ spec, born }: StartNeed): StepStart {
    const cgroup = this.#cgroups.plan(spec);
    const helper = HelperProcess.start(this.#helper, toStepStart(cgroup, born));
    return { cgroup, helper, [Symbol.asyncDispose]: () => helper.dismiss() };
  }

  #keyOf({ spec, born }: StartNeed): string {
    return `${born.join(' ')} ${this.#cgroups.keyOf(spec)}`;
  }
}
