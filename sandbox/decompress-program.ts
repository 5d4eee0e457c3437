import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, isErrno } from '../src/core/error.ts';
import type { ProgramCompression } from '../src/oci/compression.ts';
import { FormatError } from '../src/oci/format-error.ts';

/**
 * The content of `bytes`. The program gets no arguments but its mode, and no variable but PATH; when the content is not read to its end, it is
 * killed, and `bytes` let go before this returns. What `bytes` throws passes unchanged.
 * @throws UNSUPPORTED without the program; FormatError for damaged content
 */
export async function* decompressByProgram(
  compression: ProgramCompression,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const child = spawn(compression, ['-d', '-c'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  });
  const ended = endOf(once(child, 'close') as Promise<[number | null]>);
  const complaints = text(child.stderr);
  const stop = new AbortController();
  const feeding = endOf(feed(bytes, child.stdin, stop.signal));
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [fed, end] = await Promise.all([feeding, ended]);
    if (end.kind === 'failed') throw isErrno(end.error, 'ENOENT') ? missing(compression, end.error) : end.error;
    if (fed.kind === 'failed') throw fed.error;
    const [code] = end.value;
    if (code !== 0) throw new FormatError(`${compression}: ${(await complaints).trim() || `exit status ${code}`}`);
  } finally {
    child.kill('SIGKILL');
    stop.abort();
    await Promise.all([feeding, ended]);
  }
}

/** Ends early where the program stops reading: its exit status says why. */
async function feed(bytes: AsyncIterable<Uint8Array>, stdin: Writable, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(Readable.from(bytes), stdin, { signal });
  } catch (error) {
    if (!isErrno(error, 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'ENOENT', 'ABORT_ERR')) throw error;
  }
}

type End<T> = { readonly kind: 'done'; readonly value: T } | { readonly kind: 'failed'; readonly error: unknown };

/** How a promise settles, as a value: nobody may be waiting yet when it does. */
function endOf<T>(promise: Promise<T>): Promise<End<T>> {
  return promise.then(
    (value) => ({ kind: 'done', value }),
    (error: unknown) => ({ kind: 'failed', error }),
  );
}

function missing(compression: ProgramCompression, cause: unknown): BuildError {
  const what = `unpacking ${compression} without the program ${compression}`;
  return new BuildError('UNSUPPORTED', { what, instead: `install ${compression}` }, { cause });
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = '';
  for await (const chunk of stream) if (all.length < 4096) all += chunk.toString();
  return all;
}
