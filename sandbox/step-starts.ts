import { isBuildError } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupDriver, CgroupPlan } from './cgroup.ts';
import { HelperProcess } from './helper-process.ts';
import type { HelperCommand, HelperStart } from './helper-program.ts';

/** A step that has begun: its namespaces and its cgroup are there, its own commands are not. Disposing ends it where nothing else did. */
export interface StepStart extends AsyncDisposable {
  readonly helper: HelperProcess;
  readonly cgroup: CgroupPlan;
}

/** The namespaces that every step is born into. */
export const stepNamespaces = ['mount', 'pid', 'uts', 'ipc', 'time'] as const;

/** The commands of a beginning in these namespaces: the same for all steps that are limited alike. */
export function toStepStart(cgroup: CgroupPlan, namespaces: readonly string[]): HelperStart {
  const spawn: HelperCommand = ['spawn', namespaces.join(','), cgroup.into ?? ''];
  return {
    keeper: [...thawToKill(cgroup), ...cgroup.before, spawn, ...cgroup.after],
    prelude: cgroup.join.map((path) => ['join', path] as const),
  };
}

/** The helper is told where somebody may freeze the step: in v1 what is frozen cannot even be killed. */
export function thawToKill({ freezer }: CgroupPlan): HelperCommand[] {
  return freezer === undefined ? [] : [['thaw-to-kill', freezer]];
}

/** How many beginnings are made ahead: two once one of them was of use, since a step may be shorter than the beginning of the next. */
const mostAlike = 2;
/** With those of steps that are limited in other ways. */
const mostSpares = 4;

/**
 * Beginnings of steps, made ahead: starting a process, its namespaces and above all joining a v1 cgroup (10 ms for an RCU grace period) then
 * cost a step no time. The next step is taken to be limited like the last. Helpers serve one step after another.
 */
export class StepStarts implements AsyncDisposable {
  readonly #helper: string;
  readonly #cgroups: CgroupDriver;
  readonly #idle: HelperProcess[] = [];
  readonly #spares: (StepStart & { readonly key: string })[] = [];
  #wanted = 1;
  #state: 'open' | 'closed' = 'open';
  readonly #ending = new Set<Promise<unknown>>();

  constructor(helper: string, cgroups: CgroupDriver) {
    this.#helper = helper;
    this.#cgroups = cgroups;
  }

  /** @throws SANDBOX_FAILED */
  take(spec: RuntimeSpec): StepStart {
    const key = this.#cgroups.keyOf(spec);
    const index = this.#spares.findIndex((spare) => spare.key === key && spare.helper.isWaiting());
    const [spare] = index === -1 ? [] : this.#spares.splice(index, 1);
    if (spare !== undefined) this.#wanted = mostAlike;
    return spare ?? this.#begin(spec);
  }

  /** Makes spares like that for `spec` once the event loop has nothing better to do. */
  prepareNext(spec: RuntimeSpec): void {
    setImmediate(() => {
      if (this.#state === 'closed') return;
      try {
        this.#prepare(spec);
      } catch (error) {
        // No process or descriptor is left for it: should that last, the next step says so.
        if (!isBuildError(error, 'SANDBOX_FAILED')) throw error;
      }
    });
  }

  /** Begins to end what no step uses. */
  rest(): void {
    for (const { helper } of this.#spares.splice(0)) this.#end(helper);
    for (const helper of this.#idle.splice(0)) this.#end(helper);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'closed';
    this.rest();
    await Promise.all(this.#ending);
  }

  #prepare(spec: RuntimeSpec): void {
    const key = this.#cgroups.keyOf(spec);
    while (this.#spares.filter((spare) => spare.key === key && spare.helper.isWaiting()).length < this.#wanted) {
      this.#spares.push({ key, ...this.#begin(spec) });
    }
    // Those of steps that are limited otherwise: the oldest make room.
    for (const { helper } of this.#spares.splice(0, this.#spares.length - mostSpares)) this.#end(helper);
  }

  #begin(spec: RuntimeSpec): StepStart {
    const cgroup = this.#cgroups.plan(spec);
    const helper = this.#begun(toStepStart(cgroup, stepNamespaces));
    return { cgroup, helper, [Symbol.asyncDispose]: () => this.#giveBack(helper) };
  }

  #begun(start: HelperStart): HelperProcess {
    const idle = this.#idle.pop();
    if (idle?.isFree() !== true) return HelperProcess.start(this.#helper, start);
    idle.begin(start);
    return idle;
  }

  async #giveBack(helper: HelperProcess): Promise<void> {
    if (helper.isFree()) this.#idle.push(helper);
    else await helper.dismiss();
  }

  /** No step need wait for it. */
  #end(helper: HelperProcess): void {
    const ending = helper.dismiss().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
