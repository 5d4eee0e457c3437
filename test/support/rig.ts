import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { buildDist, tsbuildPath } from './build-dist.ts';
import { findLeaks } from './leaks.ts';
import { becomePerson, giveTo, type Person } from './person.ts';
import { type ProgramOptions, type ProgramResult, startProgram, type StartedProgram } from './run-program.ts';

/** tsbuild as a person uses it: the built program, a store and a work directory of its own. Disposing proves that it left nothing behind. */
export interface Rig {
  readonly store: string;
  /** An empty directory for contexts and outputs. */
  readonly work: string;
  /** Runs `tsbuild ARGS` to its end, whatever that is. */
  run(args: readonly string[], o?: ProgramOptions): Promise<ProgramResult>;
  /** Runs it and expects exit status 0. */
  succeed(args: readonly string[], o?: ProgramOptions): Promise<ProgramResult>;
  /** Starts it; the caller waits for its end. */
  start(args: readonly string[], o?: ProgramOptions): StartedProgram;
  /** What is left that should not be: mounts, processes, cgroups, temporary files, active snapshots; empty where all is well. */
  leaks(): Promise<readonly string[]>;
}

/** Opens a rig. `person` owns the store and the work directory, and runs tsbuild. */
export async function openRig({ person = 'root' }: { readonly person?: Person } = {}): Promise<Rig & AsyncDisposable> {
  await buildDist();
  const top = await mkdtemp(join(tmpdir(), 'tsbuild-rig-'));
  const [store, work, home] = [join(top, 'store'), join(top, 'work'), join(top, 'home')];
  for (const folder of [store, work, home]) await mkdir(folder, { mode: 0o755 });
  await giveTo(person, top, store, work, home);
  const become = await becomePerson(person, join(top, 'identity'));
  const mark = `TSBUILD_RIG=${randomUUID()}`;
  const started: StartedProgram[] = [];
  const start = (args: readonly string[], options: ProgramOptions = {}): StartedProgram => {
    const [file = '', ...rest] = [...become, process.execPath, tsbuildPath, ...args];
    const program = startProgram(file, rest, {
      cwd: work,
      ...options,
      env: { ...cleanEnvironment({ store, home, mark }), ...options.env },
    });
    started.push(program);
    return program;
  };
  const run: Rig['run'] = (args, options) => start(args, options).ended;
  const leaks = (): Promise<readonly string[]> => findLeaks({ store, mark, pids: started.map(({ pid }) => pid) });
  return {
    store,
    work,
    start,
    run,
    leaks,
    succeed: async (args, options) => {
      const result = await run(args, options);
      expect(result, `tsbuild ${args.join(' ')}\n${result.stderr}`).toMatchObject({ status: 0 });
      return result;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(started.map(({ ended }) => ended));
      const found = await leaks();
      await rm(top, { recursive: true, force: true });
      expect(found, 'what tsbuild left behind').toEqual([]);
    },
  };
}

/** Takes away whatever on this machine would change what tsbuild does or prints. */
function cleanEnvironment(own: { store: string; home: string; mark: string }): Record<string, string | undefined> {
  const foreign = Object.keys(process.env).filter((name) =>
    /^(TSBUILD_|BUILDKIT_|DOCKER_|XDG_|NO_COLOR|FORCE_COLOR)/.test(name),
  );
  const [markName = '', markValue = ''] = own.mark.split('=');
  return {
    ...Object.fromEntries(foreign.map((name) => [name, undefined])),
    HOME: own.home,
    TSBUILD_STORE: own.store,
    [markName]: markValue,
  };
}

/** One vertex of `--progress=rawjson`, gathered from all lines about it. Times are milliseconds since the epoch. */
export interface StepRecord {
  readonly name: string;
  readonly cached: boolean;
  readonly error: string | undefined;
  readonly startedMs: number | undefined;
  readonly completedMs: number | undefined;
  readonly output: string;
}

interface RawLine {
  readonly vertexes?: readonly {
    readonly digest: string;
    readonly name: string;
    readonly started?: string;
    readonly completed?: string;
    readonly cached?: boolean;
    readonly error?: string;
  }[];
  readonly logs?: readonly { readonly vertex: string; readonly data: string }[];
}

/** The steps of a build from what `--progress=rawjson` printed, in the order they were first named. */
export function stepsOf(rawjson: string): readonly StepRecord[] {
  const steps = new Map<string, StepRecord>();
  const lines = rawjson.split('\n').filter((line) => line.startsWith('{'));
  for (const line of lines.map((text) => JSON.parse(text) as RawLine)) {
    for (const vertex of line.vertexes ?? []) {
      const before = steps.get(vertex.digest);
      steps.set(vertex.digest, {
        name: vertex.name,
        // A step that is under way is not cached, whatever it was taken for before.
        cached: vertex.cached ?? (vertex.completed === undefined ? false : (before?.cached ?? false)),
        error: vertex.error ?? before?.error,
        startedMs: vertex.started === undefined ? before?.startedMs : Date.parse(vertex.started),
        completedMs: vertex.completed === undefined ? before?.completedMs : Date.parse(vertex.completed),
        output: before?.output ?? '',
      });
    }
    for (const log of line.logs ?? []) {
      const before = steps.get(log.vertex);
      if (before === undefined) continue;
      steps.set(log.vertex, { ...before, output: before.output + Buffer.from(log.data, 'base64').toString() });
    }
  }
  return [...steps.values()];
}

/** The names of the steps that ran, that is, were neither cached nor left out. `[stage i/n]` is taken off. */
export function ranSteps(rawjson: string): readonly string[] {
  const ran = stepsOf(rawjson).filter((step) => step.startedMs !== undefined && !step.cached);
  return ran
    .map(({ name }) => name.replace(/^\[[^\]]*\] /, ''))
    .filter((name) => /^(RUN|COPY|ADD|WORKDIR)\b/.test(name));
}

/** The manifest digest that a build wrote with `--metadata-file`. */
export async function builtDigest(metadataFile: string): Promise<string> {
  const metadata = JSON.parse(await readFile(metadataFile, 'utf8')) as Record<string, unknown>;
  expect(metadata).toHaveProperty(['containerimage.digest'], expect.stringMatching(/^sha256:[0-9a-f]{64}$/));
  return metadata['containerimage.digest'] as string;
}
