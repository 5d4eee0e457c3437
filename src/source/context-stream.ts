import { BuildError } from '../core/error.ts';
import { decompress, detectCompression, type ProgramCompression } from '../oci/compression.ts';
import { FormatError } from '../oci/format-error.ts';

/** What a stream handed over as a context turned out to be. */
export type ContextStream =
  | { readonly kind: 'tar'; readonly bytes: AsyncIterable<Uint8Array> }
  /** No archive, so it is a Dockerfile. */
  | { readonly kind: 'text'; readonly bytes: AsyncIterable<Uint8Array> };

/** Reads what no codec of Node does. @throws UNSUPPORTED, FormatError while it is read */
export type DecompressByProgram = (
  compression: ProgramCompression,
  bytes: AsyncIterable<Uint8Array>,
) => AsyncIterable<Uint8Array>;

const BLOCK = 512;
const CHECKSUM_START = 148;
const CHECKSUM_END = 156;

/**
 * Tells by the content whether `source` is an archive, perhaps compressed, which is decompressed here, or a text.
 * @param o.name for messages
 * @throws ARCHIVE_INVALID for what is compressed but no archive, UNSUPPORTED where the program for it is missing
 */
export async function openContextStream(
  source: AsyncIterable<Uint8Array>,
  { name, decompressByProgram }: { readonly name: string; readonly decompressByProgram: DecompressByProgram },
): Promise<ContextStream> {
  const packed = await peek(source);
  const compression = detectCompression(packed.head);
  const content =
    compression === 'bzip2' || compression === 'xz'
      ? decompressByProgram(compression, packed.bytes)
      : decompress(packed.bytes, compression);
  const plain = compression === 'uncompressed' ? packed : await peek(content).catch(asInvalid(name));
  if (isTar(plain.head)) return { kind: 'tar', bytes: plain.bytes };
  if (compression === 'uncompressed') return { kind: 'text', bytes: plain.bytes };
  await plain.close();
  throw new BuildError('ARCHIVE_INVALID', {
    path: name,
    reason: `it is ${compression} data, but not of a tar archive`,
  });
}

function asInvalid(name: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof FormatError)) throw error;
    throw new BuildError('ARCHIVE_INVALID', { path: name, reason: error.message }, { cause: error });
  };
}

interface Peeked {
  /** The first block, or all there is. */
  readonly head: Buffer;
  /** Everything, from the start. To be read once. */
  readonly bytes: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

async function peek(source: AsyncIterable<Uint8Array>): Promise<Peeked> {
  const chunks = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  for (let size = 0; size < BLOCK;) {
    const next = await chunks.next();
    if (next.done === true) break;
    first.push(next.value);
    size += next.value.byteLength;
  }
  const close = async (): Promise<void> => {
    await chunks.return?.();
  };
  return { head: Buffer.concat(first).subarray(0, BLOCK), bytes: continued(first, chunks), close };
}

async function* continued(
  first: readonly Uint8Array[],
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* first;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}

/** A header block with a true checksum, or the zeros of an archive without entries. */
function isTar(head: Buffer): boolean {
  if (head.byteLength < BLOCK) return false;
  if (head.every((byte) => byte === 0)) return true;
  const field = head.toString('latin1', CHECKSUM_START, CHECKSUM_END);
  const told = /^[ \0]*([0-7]+)[ \0]*$/.exec(field)?.[1];
  const actual = head.reduce((sum, byte, at) => sum + (at >= CHECKSUM_START && at < CHECKSUM_END ? 0x20 : byte), 0);
  return told !== undefined && Number.parseInt(told, 8) === actual;
}
