import { type ChildProcess, spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';

/** How a program is started. */
export interface ProgramOptions {
  readonly stdin?: string | Uint8Array;
  /** Added to this process' own environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Called with every piece of standard output as it comes. */
  readonly onStdout?: (text: string) => void;
  /** Called with every piece of standard error as it comes. */
  readonly onStderr?: (text: string) => void;
}

/** How a program ended and what it printed. */
export interface ProgramResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it is, for what is no text. */
  readonly stdoutBytes: Buffer;
}

/** A program that still runs. */
export interface StartedProgram {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<ProgramResult>;
}

/** What still runs; when a test times out, nobody else would end it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program without a shell; it ends with the tests at the latest. */
export function startProgram(file: string, args: readonly string[], o: ProgramOptions = {}): StartedProgram {
  const child = spawn(file, args, {
    stdio: 'pipe',
    env: { ...process.env, ...o.env },
    ...(o.cwd === undefined ? {} : { cwd: o.cwd }),
    ...(o.signal === undefined ? {} : { signal: o.signal }),
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  // A program that does not read its input to the end is no failure of the test.
  child.stdin.on('error', () => undefined);
  child.stdin.end(o.stdin ?? '');
  if (o.onStdout !== undefined) child.stdout.on('data', (chunk: Buffer) => o.onStdout?.(chunk.toString()));
  if (o.onStderr !== undefined) child.stderr.on('data', (chunk: Buffer) => o.onStderr?.(chunk.toString()));
  return {
    pid: child.pid ?? -1,
    kill: (signal) => void child.kill(signal),
    ended: outcome(child),
  };
}

/** Runs a program to its end, whatever that is. */
export function runProgram(file: string, args: readonly string[], o: ProgramOptions = {}): Promise<ProgramResult> {
  return startProgram(file, args, o).ended;
}

/** Runs a program that must succeed; gives its standard output. */
export async function checkProgram(file: string, args: readonly string[], o: ProgramOptions = {}): Promise<string> {
  const { status, signal, stdout, stderr } = await runProgram(file, args, o);
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${signal ?? status}:\n${stderr}${stdout}`);
  return stdout;
}

async function outcome(child: ChildProcess): Promise<ProgramResult> {
  const { promise, resolve, reject } = Promise.withResolvers<Pick<ProgramResult, 'status' | 'signal'>>();
  child.once('error', (error) => (error.name === 'AbortError' ? undefined : reject(error)));
  child.once('close', (status, signal) => resolve({ status, signal }));
  const [end, stdoutBytes, stderr] = await Promise.all([promise, drain(child.stdout), drain(child.stderr)]);
  return { ...end, stdout: stdoutBytes.toString(), stdoutBytes, stderr: stderr.toString() };
}

async function drain(stream: NodeJS.ReadableStream | null): Promise<Buffer> {
  return stream === null ? Buffer.alloc(0) : await buffer(stream);
}
