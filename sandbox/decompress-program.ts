import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, isErrno } from '../src/core/error.ts';
import { FormatError } from '../src/oci/format-error.ts';

/** Formats that Node has no codec for: read by the programs of these names, which nearly every system has. */
export type ProgramCompression = 'bzip2' | 'xz';

/** The content of `bytes`. The program gets no arguments but its mode, and an empty environment. @throws UNSUPPORTED without the program; FormatError */
export async function* decompressByProgram(
  compression: ProgramCompression,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const child = spawn(compression, ['-d', '-c'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  // Its end is awaited below; a program that is missing fails at once.
  ended.catch(() => undefined);
  const complaints = text(child.stderr);
  const feeding = pipeline(Readable.from(bytes), child.stdin).catch((error: unknown) => {
    // The program stopped reading: its exit status says why.
    if (!isErrno(error, 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'ENOENT')) throw error;
  });
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    await feeding;
    const [code] = await ended;
    if (code !== 0) throw new FormatError(`${compression}: ${(await complaints).trim() || `exit status ${code}`}`);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    const what = `unpacking ${compression} without the program ${compression}`;
    throw new BuildError(
      'UNSUPPORTED',
      { what, instead: `install ${compression}, or copy the file as it is with ADD --unpack=false` },
      { cause: error },
    );
  } finally {
    child.kill();
  }
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = '';
  for await (const chunk of stream) if (all.length < 4096) all += chunk.toString();
  return all;
}
