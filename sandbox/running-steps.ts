import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError } from '../src/core/error.ts';
import type { RunningStep, RunningSteps, StepControl } from '../src/core/running-steps.ts';
import { freezeGroup, isFrozen, joinFreezer, killGroup, readGroupFile, thawGroup } from './cgroup-control.ts';
import type { FoundRun, RunRecords } from './run-records.ts';

/** The steps that run on a store, by their records and their cgroups. */
export class RecordedSteps implements RunningSteps {
  readonly #records: RunRecords;

  constructor(records: RunRecords) {
    this.#records = records;
  }

  async list(): Promise<readonly RunningStep[]> {
    return this.#records.list().map(describe);
  }

  async control(id: string, what: StepControl): Promise<void> {
    const run = this.#records.list().find((each) => each.id === id);
    if (run === undefined) return;
    const [members] = groupsOf(run);
    const { freezer } = run;
    if (members === undefined || freezer === undefined) throw withoutGroup(what);
    switch (what) {
      case 'freeze':
        await joinFreezer(members, freezer);
        return freezeGroup(freezer);
      case 'thaw':
        return thawGroup(freezer);
      case 'kill':
        // In v1 what is frozen does not even die.
        await thawGroup(freezer);
        return killGroup(members);
    }
  }
}

function describe(run: FoundRun): RunningStep {
  const { id, pid, command, startedMs, freezer } = run;
  const groups = groupsOf(run);
  const cpuNs = lookupNumber(groups, 'cpuacct.usage', /^(\d+)/);
  const cpuUs = lookupNumber(groups, 'cpu.stat', /^usage_usec (\d+)$/m);
  const cpuMs = cpuNs === undefined ? cpuUs && cpuUs / 1000 : cpuNs / 1e6;
  const memoryBytes =
    lookupNumber(groups, 'memory.current', /^(\d+)/) ?? lookupNumber(groups, 'memory.usage_in_bytes', /^(\d+)/);
  return {
    id,
    pid,
    command,
    startedMs,
    state: groups.length === 0 || freezer === undefined ? 'unknown' : isFrozen(freezer) ? 'frozen' : 'running',
    ...(cpuMs === undefined ? {} : { cpuMs }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** The directories in which the step is; a native step joins no v1 hierarchy that it does not need. */
function groupsOf({ directories, freezer }: FoundRun): readonly string[] {
  const isV1Freezer = (path: string): boolean => path === freezer && !existsSync(join(path, 'cgroup.freeze'));
  return directories.filter((path) => existsSync(join(path, 'cgroup.procs')) && !isV1Freezer(path));
}

function lookupNumber(groups: readonly string[], file: string, pattern: RegExp): number | undefined {
  const text = groups.map((group) => readGroupFile(join(group, file))).find((each) => each !== undefined);
  const number = text === undefined ? undefined : pattern.exec(text)?.[1];
  return number === undefined ? undefined : Number(number);
}

function withoutGroup(what: StepControl): BuildError {
  return new BuildError('KERNEL_FEATURE_MISSING', {
    feature: `${what} of a step`,
    reason: 'the step has no cgroup of its own',
    remedy:
      'build as root, or in a cgroup that is delegated to you: systemd-run --user --scope -p Delegate=yes tsbuild …',
  });
}
