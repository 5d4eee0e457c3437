import {
  constants,
  createGunzip,
  createZstdDecompress,
  type Gunzip,
  type ZstdDecompress,
  zstdCompress,
} from 'node:zlib';
import { fixedBlocks, mapInOrder } from './byte-blocks.ts';
import { FormatError } from './format-error.ts';
import { encodeGzip } from './gzip-encoder.ts';
import type { Compression } from './media-type.ts';

/** Formats that Node has no codec for: recognised here, and read by the programs of these names, which nearly every system has. */
export type ProgramCompression = 'bzip2' | 'xz';

/** What the first bytes of a file say about its compression. */
export type DetectedCompression = Compression | ProgramCompression;

/** How to compress. The bytes depend on these and the content alone: not on the machine, nor on how the content is cut into chunks. */
export interface CompressOptions {
  readonly compression: Compression;
  /** gzip: 1 to 9, 6 if absent. zstd: 1 to 22, 3 if absent. */
  readonly level?: number;
}

const MAGIC: readonly (readonly [DetectedCompression, RegExp])[] = [
  ['gzip', /^1f8b/],
  // A frame, or a skippable frame before the first.
  ['zstd', /^(?:28b52ffd|5.2a4d18)/],
  ['bzip2', /^425a68/],
  ['xz', /^fd377a585a00/],
];
const MAGIC_BYTES = 6;

const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;
/** Part of the format of what is written: content of each zstd frame. */
const FRAME_BYTES = 2 * 1024 * 1024;
const FRAMES_IN_FLIGHT = 4;
/** Output of one step of a decompressor. */
const CHUNK_BYTES = 256 * 1024;

/** The compression that `head`, the first bytes of a file, show; `uncompressed` where it is none of the known. */
export function detectCompression(head: Uint8Array): DetectedCompression {
  const hex = Buffer.from(head.subarray(0, MAGIC_BYTES)).toString('hex');
  return MAGIC.find(([, magic]) => magic.test(hex))?.[0] ?? 'uncompressed';
}

/**
 * The bytes of `source` compressed: one gzip member, or zstd frames one after the other, made by several threads at once.
 * Holds some MiB, whatever the length.
 */
export function compress(
  source: AsyncIterable<Uint8Array>,
  { compression, level }: CompressOptions,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'uncompressed':
      return source;
    case 'gzip':
      return encodeGzip(source, level ?? GZIP_LEVEL);
    case 'zstd':
      return encodeZstd(source, level ?? ZSTD_LEVEL);
  }
}

/**
 * The content of `source`: all gzip members or zstd frames, joined.
 * @throws FormatError for content that is damaged or cut off, and for anything after its end. What `source` throws passes unchanged.
 */
export function decompress(source: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'uncompressed':
      return source;
    case 'gzip':
      return decode(source, { name: 'gzip', open: () => createGunzip({ chunkSize: CHUNK_BYTES }) });
    case 'zstd':
      return decode(source, { name: 'zstd', open: () => createZstdDecompress({ chunkSize: CHUNK_BYTES }) });
  }
}

/** Frames of their own: zstd's own threads break streaming in Node. Incompressible content needs no probe, zstd sees it by itself. */
function encodeZstd(source: AsyncIterable<Uint8Array>, level: number): AsyncIterable<Buffer> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  const task = async (block: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      zstdCompress(block, { params, chunkSize: FRAME_BYTES / 4 }, (error, frame) =>
        error === null ? resolve(frame) : reject(error),
      );
    });
  return mapInOrder(frameContents(source), { inFlight: FRAMES_IN_FLIGHT, task });
}

/** An empty stream is one empty frame, not nothing. */
async function* frameContents(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  let empty = true;
  for await (const block of fixedBlocks(source, FRAME_BYTES)) {
    empty = false;
    yield block;
  }
  if (empty) yield Buffer.alloc(0);
}

interface Decoder {
  readonly name: string;
  readonly open: () => Gunzip | ZstdDecompress;
}

/** Opens a decompressor anew for what one leaves over: Node's stop after a zstd frame, or before zeros behind a gzip member, and drop the rest. */
async function* decode(source: AsyncIterable<Uint8Array>, { name, open }: Decoder): AsyncGenerator<Uint8Array, void> {
  const input = new Input(source);
  try {
    do {
      const stream = open();
      const feeding = feed(stream, input);
      try {
        yield* stream as AsyncIterable<Buffer>;
      } finally {
        stream.destroy();
        await feeding;
      }
    } while (input.hasUnread);
  } catch (error) {
    if (error === input.failure || !isZlibError(error)) throw error;
    throw new FormatError(`${name} data ${error.code === 'Z_BUF_ERROR' ? 'is cut off' : 'is damaged'}`, {
      cause: error,
    });
  } finally {
    await input.close();
  }
}

/** Writes `input` into `stream` until one of them ends. Never rejects: a failure of the source destroys the stream. */
async function feed(stream: Gunzip | ZstdDecompress, input: Input): Promise<void> {
  try {
    for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next()) {
      const before = stream.bytesWritten;
      await write(stream, chunk);
      if (stream.destroyed) return;
      const taken = stream.bytesWritten - before;
      if (taken < chunk.length) {
        input.unread(chunk.subarray(taken));
        return;
      }
    }
    stream.end();
  } catch (error) {
    stream.destroy(error as Error);
  }
}

/** Waits until `chunk` is worked off, or the stream closed: after an error it does not call back. */
async function write(stream: Gunzip | ZstdDecompress, chunk: Uint8Array): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('close', done);
      resolve();
    };
    stream.on('close', done);
    stream.write(chunk, done);
  });
}

/** A source that takes back the rest of a chunk. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array | undefined;
  #ended = false;
  /** What the source threw. */
  failure: unknown;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  get hasUnread(): boolean {
    return this.#rest !== undefined;
  }

  unread(rest: Uint8Array): void {
    this.#rest = rest;
  }

  /** The next chunk that is not empty; `undefined` at the end. */
  async next(): Promise<Uint8Array | undefined> {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) return rest;
    try {
      for (let next = await this.#source.next(); next.done !== true; next = await this.#source.next()) {
        if (next.value.length > 0) return next.value;
      }
    } catch (error) {
      this.failure = error;
      this.#ended = true;
      throw error;
    }
    this.#ended = true;
    return undefined;
  }

  /** Ends the source, unless it has ended. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
  }
}

function isZlibError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^Z(?:STD)?_/.test(error.code);
}
