import type { DockerfileInput } from '../build-request.ts';
import { detectCompression } from '../oci/compression.ts';
import type { BuildInputs } from './to-build-request.ts';
import type { CliIo } from './cli-io.ts';
import { usageError } from './usage-error.ts';

/** The name under which messages show a Dockerfile read from standard input. */
export const STDIN_NAME = '<stdin>';

/** Enough for every magic number, and for the first header of a tar. */
const PEEK_BYTES = 512;
const MAX_DOCKERFILE_BYTES = 8 * 1024 * 1024;

/**
 * The inputs that `PATH|URL|-` and `--file` name. `-` as the context is a tar archive or, where it is none, a Dockerfile for an
 * empty context; `-` as the file is a Dockerfile.
 */
export async function readInputs(
  context: string,
  file: string | undefined,
  io: Pick<CliIo, 'stdin'>,
): Promise<BuildInputs> {
  if (context === '-' && file === '-') {
    throw usageError('standard input cannot be both the context and the Dockerfile', 'name a directory as the context');
  }
  const named: { dockerfile?: DockerfileInput } =
    file === undefined ? {} : { dockerfile: { kind: 'path', path: file } };
  if (context !== '-') {
    const dockerfile = file === '-' ? await readDockerfile(toBytes(io.stdin)) : named.dockerfile;
    return { context: { kind: 'location', location: context }, ...(dockerfile === undefined ? {} : { dockerfile }) };
  }
  const { head, bytes } = await peek(toBytes(io.stdin));
  if (isArchive(head)) return { context: { kind: 'tar', bytes }, ...named };
  if (file !== undefined) {
    throw usageError(
      'standard input is a Dockerfile, but --file names one too',
      'leave --file out, or send a tar archive',
    );
  }
  return { context: { kind: 'empty' }, dockerfile: await readDockerfile(bytes) };
}

async function readDockerfile(bytes: AsyncIterable<Uint8Array>): Promise<DockerfileInput> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.byteLength;
    if (size > MAX_DOCKERFILE_BYTES) throw usageError('the Dockerfile on standard input is too large');
    chunks.push(chunk);
  }
  return { kind: 'text', name: STDIN_NAME, text: Buffer.concat(chunks) };
}

/** The first bytes, and all of them again. */
async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; bytes: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.byteLength < PEEK_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    if (head.byteLength > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head, bytes: all() };
}

async function* toBytes(stdin: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stdin) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

/** Compressed data, or a block whose checksum is a tar header's. */
function isArchive(head: Uint8Array): boolean {
  if (detectCompression(head) !== 'uncompressed') return true;
  if (head.byteLength < PEEK_BYTES) return false;
  const stored = Number.parseInt(
    Buffer.from(head.subarray(148, 156)).toString('latin1').replaceAll('\0', ' ').trim(),
    8,
  );
  const sum = head
    .subarray(0, PEEK_BYTES)
    .reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  return stored === sum;
}
