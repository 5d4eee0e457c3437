import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProgramResult, runProgram, startProgram } from './run-program.ts';

/** What to change of the bundle's own configuration. */
export interface ContainerOptions {
  readonly args?: readonly string[];
  /** Added to the image's environment. */
  readonly env?: readonly string[];
  readonly network?: 'none' | 'host';
}

/** A container that runc runs; disposing kills and deletes it. */
export interface Container extends AsyncDisposable {
  readonly ended: Promise<ProgramResult>;
  kill(signal: NodeJS.Signals): void;
}

interface RuntimeConfig {
  process: { terminal?: boolean; args: readonly string[]; env?: readonly string[] };
  linux: { namespaces: readonly { readonly type: string }[]; resources?: unknown };
}

/** Runs the bundle that umoci made of an image. */
export async function startContainer(bundle: string, o: ContainerOptions = {}): Promise<Container> {
  await configure(join(bundle, 'config.json'), o);
  const state = await mkdtemp(join(tmpdir(), 'tsbuild-runc-'));
  const id = `tsbuild-test-${randomUUID()}`;
  const program = startProgram('runc', ['--root', state, 'run', '--bundle', bundle, id]);
  return {
    ended: program.ended,
    kill: (signal) => void runProgram('runc', ['--root', state, 'kill', id, signal]),
    [Symbol.asyncDispose]: async () => {
      await runProgram('runc', ['--root', state, 'delete', '--force', id]);
      await program.ended;
      await rm(state, { recursive: true, force: true });
    },
  };
}

async function configure(file: string, o: ContainerOptions): Promise<void> {
  const config = JSON.parse(await readFile(file, 'utf8')) as RuntimeConfig;
  const { process, linux } = config;
  const namespaces = linux.namespaces.filter(({ type }) => o.network !== 'host' || type !== 'network');
  const env = [...(process.env ?? []), ...(o.env ?? [])];
  const changed = {
    ...config,
    process: { ...process, terminal: false, args: o.args ?? process.args, env },
    linux: { ...linux, namespaces },
  };
  await writeFile(file, JSON.stringify(changed));
}
