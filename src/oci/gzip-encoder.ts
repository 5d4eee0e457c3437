import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import { fixedBlocks, mapInOrder } from './byte-blocks.ts';

/** Part of the format of what is written: another size gives other bytes. Larger ones gain no speed. */
const BLOCK_BYTES = 512 * 1024;
/** Enough to keep the threads of libuv's pool busy; bounds the memory. */
const BLOCKS_IN_FLIGHT = 8;
/** How far back a deflate stream may refer. */
const WINDOW_BYTES = 32 * 1024;
/** The most that a stored block holds. */
const STORED_BYTES = 65_535;
/** Where a block is sampled, and how much of it at each place. */
const SAMPLES = 4;
const SAMPLE_BYTES = 4096;
/** A sample that shrinks to no less than this part of itself is not worth deflating. */
const INCOMPRESSIBLE = 0.98;

/** No name, no time, unknown system: as Go's compress/gzip writes it (RFC 1952 §2.3). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** A last, empty block with fixed codes. */
const FINAL_BLOCK = Buffer.from([3, 0]);

/** A block with what precedes it. */
interface DeflateJob {
  readonly block: Buffer;
  readonly dictionary: Buffer;
}

/**
 * One gzip member with the bytes of `source`. Blocks of fixed size are deflated side by side on libuv's pool, each with the end of the
 * one before as its dictionary and byte-aligned by a sync flush, so that they join to one deflate stream (the way of pigz).
 * Blocks that would not shrink are stored: deflate takes longest over those.
 */
export async function* encodeGzip(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer, void> {
  let checksum = 0;
  let size = 0;
  const jobs = async function* (): AsyncGenerator<DeflateJob, void> {
    let dictionary: Buffer = Buffer.alloc(0);
    for await (const block of fixedBlocks(source, BLOCK_BYTES)) {
      checksum = crc32(block, checksum);
      size += block.length;
      yield { block, dictionary };
      dictionary = block.subarray(-WINDOW_BYTES);
    }
  };
  yield HEADER;
  yield* mapInOrder(jobs(), { inFlight: BLOCKS_IN_FLIGHT, task: (job) => encodeBlock(job, level) });
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield Buffer.concat([FINAL_BLOCK, trailer]);
}

async function encodeBlock({ block, dictionary }: DeflateJob, level: number): Promise<Buffer> {
  if (isIncompressible(block)) return store(block);
  const deflated = await deflate(block, {
    level,
    finishFlush: constants.Z_SYNC_FLUSH,
    chunkSize: BLOCK_BYTES / 2,
    ...(dictionary.length > 0 && { dictionary }),
  });
  const stored = Math.ceil(block.length / STORED_BYTES) * 5 + block.length;
  return deflated.length < stored ? deflated : store(block);
}

/** Judges by samples. On this thread: the work is less than that of handing it to another. */
function isIncompressible(block: Buffer): boolean {
  if (block.length < SAMPLES * SAMPLE_BYTES) return false;
  const step = Math.floor(block.length / SAMPLES);
  const sample = Buffer.concat(
    Array.from({ length: SAMPLES }, (_, i) => block.subarray(i * step, i * step + SAMPLE_BYTES)),
  );
  return deflateRawSync(sample, { level: 1 }).length > sample.length * INCOMPRESSIBLE;
}

/** `block` in stored blocks (RFC 1951 §3.2.4), none of them the last of the stream. */
function store(block: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < block.length; at += STORED_BYTES) {
    const data = block.subarray(at, at + STORED_BYTES);
    const head = Buffer.alloc(5);
    head.writeUInt16LE(data.length, 1);
    head.writeUInt16LE(~data.length & 0xffff, 3);
    parts.push(head, data);
  }
  return Buffer.concat(parts);
}

async function deflate(data: Buffer, options: Parameters<typeof deflateRawSync>[1]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflateRaw(data, options ?? {}, (error, deflated) => (error === null ? resolve(deflated) : reject(error)));
  });
}
