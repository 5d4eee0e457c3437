import { copyFile, lstat, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Executor, ExitStatus, RuntimeSpec } from '../../src/core/executor.ts';
import type { RootMount } from '../../src/core/snapshot.ts';
import { defaultCapabilities } from '../../solver/runtime-spec.ts';
import { runProgram } from './run-program.ts';

/** How a step ended and what it printed. */
export interface StepResult {
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

/** Fields of a spec that are other than a plain RUN's. */
export type SpecChange = Partial<Omit<RuntimeSpec, 'process'>> & { readonly process?: Partial<RuntimeSpec['process']> };

/** A busybox root under an overlay of its own, and short ways to run steps on it. */
export interface StepRig extends AsyncDisposable {
  /** Holds the parts below; nothing else is in it. */
  readonly top: string;
  readonly lower: string;
  readonly upper: string;
  readonly root: RootMount;
  /** A spec as a plain RUN gives it; `change` replaces fields. */
  spec(args: readonly string[], change?: SpecChange): RuntimeSpec;
  /** Runs a shell script. */
  sh(executor: Executor, script: string, change?: SpecChange): Promise<StepResult>;
  run(executor: Executor, spec: RuntimeSpec, signal?: AbortSignal): Promise<StepResult>;
}

const applets = `[ awk cat chmod chown cut dd echo env false find getent grep head hostname id ifconfig kill ln ls mkdir mkfifo mknod mount mv
  nc nproc ps pwd readlink rm rmdir sed seq setsid sh sleep sort stat sync tail test touch tr true umount uname unshare wc yes`;

/** Makes a root with busybox, /etc/passwd and /etc/group, whose directories have an old mtime; all of it in `directory`. */
export async function openStepRig(directory: string = tmpdir()): Promise<StepRig> {
  const top = await mkdtemp(join(directory, 'tsbuild-step-'));
  const [lower, upper, work] = [join(top, 'lower'), join(top, 'upper'), join(top, 'work')];
  await Promise.all([lower, upper, work].map((path) => mkdir(path)));
  await fillRoot(lower);
  const root: RootMount = { type: 'overlay', lower: [lower], upper, work, xattrs: 'trusted' };
  const spec: StepRig['spec'] = (args, { process, ...change } = {}) => ({
    process: {
      args,
      env: ['PATH=/bin', 'HOME=/root'],
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [0], home: '/root' },
      umask: 0o022,
      capabilities: defaultCapabilities,
      rlimits: [],
      ...process,
    },
    root,
    hostname: 'buildkitsandbox',
    mounts: [],
    extraHosts: [],
    network: 'default',
    confinement: 'default',
    shmSizeBytes: 64 << 20,
    resources: {},
    ...change,
  });
  return {
    top,
    lower,
    upper,
    root,
    spec,
    run: runStep,
    sh: (executor, script, change) => runStep(executor, spec(['/bin/sh', '-c', script], change)),
    [Symbol.asyncDispose]: () => rm(top, { recursive: true, force: true }),
  };
}

async function runStep(executor: Executor, step: RuntimeSpec, signal?: AbortSignal): Promise<StepResult> {
  const output = { stdout: '', stderr: '' };
  const status = await executor.run(step, {
    output: (stream, chunk) => {
      output[stream] += Buffer.from(chunk).toString();
    },
    signal,
  });
  return { status, ...output };
}

async function fillRoot(root: string): Promise<void> {
  for (const path of ['bin', 'etc', 'root', 'tmp', 'data']) await mkdir(join(root, path));
  await copyFile('/usr/bin/busybox', join(root, 'bin/busybox'));
  for (const name of applets.split(/\s+/)) await symlink('busybox', join(root, 'bin', name));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/data:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\napp:x:1000:\nstaff:x:50:app\n');
  for (const path of ['etc', 'data', '.']) await utimes(join(root, path), 1_000_000_000, 1_000_000_000);
}

/** Compiles test/sandbox/fixtures/NAME.c into the root's /bin. */
export async function addProgram(rig: StepRig, name: string): Promise<void> {
  const source = new URL(`../sandbox/fixtures/${name}.c`, import.meta.url).pathname;
  const { status, stderr } = await runProgram('cc', ['-O1', '-static', '-o', join(rig.lower, 'bin', name), source]);
  if (status !== 0) throw new Error(`${source}: ${stderr}`);
}

/** What a path is: `-` where there is nothing, else its kind and its mtime in whole seconds. */
export async function describePath(path: string): Promise<string> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat === undefined) return '-';
  const kind = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : 'file';
  return `${kind} ${Math.trunc(stat.mtimeMs / 1000)}`;
}

/** Writes a file below the root's lower layer, with its parents. */
export async function addFile(rig: StepRig, path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(join(rig.lower, path)), { recursive: true });
  await writeFile(join(rig.lower, path), text, { mode });
}
