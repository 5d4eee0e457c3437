import type { TsbuildApi } from '../store-handle.ts';
import type { CliIo, TerminalStream } from './cli-io.ts';
import { Interruption, type InterruptSignal } from './interruption.ts';
import { runCli } from './run-cli.ts';

/**
 * Runs the command line of this process and exits with its status. The first Ctrl-C, SIGTERM or SIGHUP aborts the command, which then
 * cleans up; the second exits at once. A reader of standard output that goes away aborts it too.
 */
export async function runProcess(loadApi: () => Promise<TsbuildApi>): Promise<never> {
  const controller = new AbortController();
  const interrupt = (signal: InterruptSignal): void => {
    const interruption = new Interruption(signal);
    if (controller.signal.aborted) process.exit(interruption.exitStatus);
    controller.abort(interruption);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!controller.signal.aborted) interrupt('SIGPIPE');
  });
  // Nobody reads the progress any more; the build itself may still be wanted.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

  const { stdout, stderr, env } = process;
  const io: CliIo = {
    // Opening it takes milliseconds, and few commands read it.
    get stdin() {
      return process.stdin;
    },
    stdout,
    stderr,
    env,
    now: Date.now,
    signal: controller.signal,
  };
  const status = await runCli(process.argv.slice(2), io, loadApi);
  await Promise.all([flushed(stdout), flushed(stderr)]);
  process.exit(status);
}

/** Waits until `stream` has passed everything on, unless nobody takes it. */
async function flushed(stream: TerminalStream): Promise<void> {
  if ((stream.writableLength ?? 0) === 0) return;
  await new Promise<void>((resolve) => {
    stream.once('error', () => resolve());
    stream.write('', () => resolve());
  });
}
