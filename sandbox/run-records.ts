import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { isErrno } from '../src/core/error.ts';
import type { RuntimeSpec } from '../src/core/executor.ts';
import type { CgroupPlan } from './cgroup.ts';
import { groupName, isAlive } from './cgroup-name.ts';
import { makeDirectory } from './make-directory.ts';
import { namesIn } from './names-in.ts';
import { storeError } from './store-error.ts';

const recordSchema = v.object({
  command: v.string(),
  /** Its cgroup's directories in all hierarchies. */
  directories: v.array(v.string()),
  /** The one in which it can be frozen (see `CgroupPlan`). */
  freezer: v.optional(v.string()),
});

/** What is kept of a step for as long as it runs. */
export type RunRecord = v.InferOutput<typeof recordSchema>;

/** The record of a step that runs in that group. */
export function runRecord({ process }: RuntimeSpec, { directories, freezer }: CgroupPlan): RunRecord {
  return {
    command: process.args.join(' '),
    directories: [...directories],
    ...(freezer === undefined ? {} : { freezer }),
  };
}

/** A record of a step that runs. */
export interface FoundRun extends RunRecord {
  readonly id: string;
  readonly pid: number;
  readonly startedMs: number;
}

/** Records of running steps, a file for each below `runs/`, so that other processes on the same store know of them. */
export class RunRecords {
  readonly #directory: string;
  #made = false;

  constructor(stateDir: string) {
    this.#directory = join(stateDir, 'runs');
  }

  /** Disposing takes the record away. It is named as the step's cgroup is. @throws STORE_UNUSABLE, STORE_FULL */
  add(record: RunRecord): Disposable {
    const path = join(this.#directory, basename(record.directories[0] ?? groupName()));
    try {
      if (!this.#made) makeDirectory(this.#directory, { mode: 0o700 });
      this.#made = true;
      writeFileSync(path, JSON.stringify(record), { mode: 0o600 });
    } catch (error) {
      throw storeError(error, path);
    }
    return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
  }

  /** Removes what killed builds have left. */
  sweep(): void {
    for (const name of namesIn(this.#directory)) {
      const [, pid = ''] = name.split('-');
      if (!isAlive(pid)) rmSync(join(this.#directory, name), { force: true });
    }
  }

  /** Those of processes that live, oldest first. */
  list(): readonly FoundRun[] {
    this.sweep();
    const found = namesIn(this.#directory).flatMap((name): FoundRun[] => {
      const [, pid = '', id = ''] = name.split('-');
      const record = read(join(this.#directory, name));
      return record === undefined ? [] : [{ ...record, id, pid: Number(pid) }];
    });
    return found.toSorted((a, b) => a.startedMs - b.startedMs);
  }
}

/** `undefined` where the step has ended meanwhile, or its record is being written. */
function read(path: string): (RunRecord & { readonly startedMs: number }) | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    if (!text.endsWith('}')) return undefined;
    return { ...v.parse(recordSchema, JSON.parse(text)), startedMs: statSync(path).mtimeMs };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
