/** Run as a process by run-process.test.ts: tsbuild with a build that waits to be aborted, and then for as long as `FAKE_CLEANUP_MS` says. */
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { runProcess } from '../../src/cli/run-process.ts';
import { fakeApi } from './fake-io.ts';

const image = Buffer.alloc(1 << 20, 'x');

/** Writes until `signal` is aborted. */
async function pour(stdout: NodeJS.WritableStream | undefined, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal?.addEventListener('abort', () => resolve());
  const more = (error?: Error | null): void => {
    if (error === undefined || error === null) stdout?.write(image, more);
  };
  more();
  await promise;
}

await runProcess(
  fakeApi({
    build: async ({ signal, stdout, progress }) => {
      progress?.({ type: 'started', step: 'RUN sleep', timeMs: Date.now() });
      const { promise, resolve } = Promise.withResolvers<void>();
      signal?.addEventListener('abort', () => resolve());
      if (process.env['FAKE_OUTPUT'] === undefined) process.stderr.write('ready\n');
      else await pour(stdout, signal);
      // Something must keep the process alive while it waits.
      const timer = setInterval(() => {}, 1000);
      await promise;
      process.stderr.write('cleaning\n');
      await setTimeout(Number(process.env['FAKE_CLEANUP_MS'] ?? '0'));
      clearInterval(timer);
      process.stderr.write('clean\n');
      throw signal?.reason;
    },
  }),
);
