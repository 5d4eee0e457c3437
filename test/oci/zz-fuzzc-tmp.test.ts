import { randomBytes } from 'node:crypto';
import { constants, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compress, type CompressOptions, decompress, detectCompression } from '../../src/oci/compression.ts';
import { FormatError } from '../../src/oci/format-error.ts';
import type { Compression } from '../../src/oci/media-type.ts';
import { describeWith } from '../support/requires.ts';
import { runProgram } from '../support/run-program.ts';

const TEXT = Buffer.from(
  Array.from({ length: 200_000 }, (_, i) => `line ${(i * 7919) % 10_007} of the text\n`).join(''),
);
const RANDOM = seeded(3_000_000);
const MIXED = Buffer.concat([
  TEXT.subarray(0, 700_001),
  RANDOM.subarray(0, 1_500_000),
  TEXT.subarray(0, 900_000),
  Buffer.alloc(2_000_000),
]);
const COMPRESSED = ['gzip', 'zstd'] as const;

/** Bytes without structure, the same in every run. */
function seeded(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = 0x2545f491;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, size);
}

async function* chunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* list(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}

function packed(bytes: Uint8Array, options: CompressOptions, chunkSize?: number): Promise<Buffer> {
  return collect(compress(chunks(bytes, chunkSize), options));
}

function unpacked(bytes: Uint8Array, compression: Compression, chunkSize?: number): Promise<Buffer> {
  return collect(decompress(chunks(bytes, chunkSize), compression));
}

describe('compress', () => {
  it.each(COMPRESSED)('%s: gives back text, random bytes, a mixture and nothing', async (compression) => {
    for (const bytes of [TEXT, RANDOM, MIXED, Buffer.alloc(0), Buffer.from('x')]) {
      const whole = await packed(bytes, { compression });
      expect((await unpacked(whole, compression)).equals(bytes)).toBe(true);
    }
  });

  it.each(COMPRESSED)('%s: gives the same bytes however the content is cut', async (compression) => {
    const bytes = MIXED.subarray(0, 2_500_000);
    const whole = await packed(bytes, { compression }, bytes.length);
    expect((await packed(bytes, { compression }, 1000)).equals(whole)).toBe(true);
    expect((await packed(bytes, { compression }, 524_289)).equals(whole)).toBe(true);
  });

  it('gzip: is one member without a time, as Go writes it, and no larger than node:zlib makes it', async () => {
    const whole = await packed(TEXT, { compression: 'gzip' });
    expect(whole.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
    expect(gunzipSync(whole).equals(TEXT)).toBe(true);
    expect(whole.length).toBeLessThan(gzipSync(TEXT, { level: 6 }).length * 1.01);
  });

  it('gzip: blocks refer back into the block before', async () => {
    const unit = RANDOM.subarray(0, 20_000);
    const repeated = Buffer.concat(Array.from({ length: 100 }, () => unit));
    expect((await packed(repeated, { compression: 'gzip' })).length).toBeLessThan(unit.length * 2.5);
  });

  it.each(COMPRESSED)('%s: random bytes grow by less than one in a thousand', async (compression) => {
    expect((await packed(RANDOM, { compression })).length).toBeLessThan(RANDOM.length * 1.001);
  });

  it('gzip: compressible parts of a block are found among random ones', async () => {
    const half = Buffer.concat([RANDOM.subarray(0, 262_144), Buffer.alloc(262_144)]);
    expect((await packed(half, { compression: 'gzip' })).length).toBeLessThan(half.length * 0.6);
  });

  it.each(COMPRESSED)('%s: a higher level makes it smaller', async (compression) => {
    const fast = await packed(TEXT, { compression, level: 1 });
    const small = await packed(TEXT, { compression, level: 9 });
    expect(small.length).toBeLessThan(fast.length);
    expect((await unpacked(fast, compression)).equals(TEXT)).toBe(true);
  });

  it('uncompressed: passes through', async () => {
    expect((await packed(TEXT, { compression: 'uncompressed' })).equals(TEXT)).toBe(true);
    expect((await unpacked(TEXT, 'uncompressed')).equals(TEXT)).toBe(true);
  });

  it.each(COMPRESSED)('%s: an error of the source comes through as it is', async (compression) => {
    const failure = new Error('disk on fire');
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield RANDOM;
      throw failure;
    };
    await expect(collect(compress(failing(), { compression }))).rejects.toBe(failure);
  });

  it.each(COMPRESSED)(
    '%s: reads no further ahead than it needs, and ends the source when it is left',
    async (compression) => {
      let read = 0;
      let ended = false;
      const endless = async function* (): AsyncGenerator<Uint8Array> {
        try {
          for (;;) {
            read += RANDOM.length;
            yield RANDOM;
          }
        } finally {
          ended = true;
        }
      };
      for await (const chunk of compress(endless(), { compression })) if (chunk.length > 1000) break;
      expect(read).toBeLessThan(20_000_000);
      expect(ended).toBe(true);
    },
  );
});

describe('decompress', () => {
  const gzipped = gzipSync(TEXT);
  const zstd = zstdCompressSync(TEXT);
  const tail = { gzip: gzipSync('tail'), zstd: zstdCompressSync('tail') };
  const main = { gzip: gzipped, zstd };

  it.each(COMPRESSED)('%s: reads all members, whatever the chunks', async (compression) => {
    const joined = Buffer.concat([main[compression], tail[compression], tail[compression]]);
    const expected = Buffer.concat([TEXT, Buffer.from('tailtail')]);
    for (const size of [joined.length, 7919, main[compression].length, main[compression].length + 3]) {
      expect((await unpacked(joined, compression, size)).equals(expected), `chunks of ${size}`).toBe(true);
    }
  });

  it.each(COMPRESSED)('%s: reads byte by byte, empty chunks between', async (compression) => {
    const small = Buffer.concat([tail[compression], tail[compression]]);
    const drip = async function* (): AsyncGenerator<Uint8Array> {
      for (const byte of small) yield* [Uint8Array.of(byte), new Uint8Array(0)];
    };
    expect((await collect(decompress(drip(), compression))).toString()).toBe('tailtail');
  });

  it('zstd: skips skippable frames', async () => {
    const skippable = Buffer.from('502a4d180400000001020304', 'hex');
    expect(
      (await collect(decompress(list(skippable, zstd, skippable, tail.zstd), 'zstd'))).equals(
        Buffer.concat([TEXT, Buffer.from('tail')]),
      ),
    ).toBe(true);
  });

  it.each(COMPRESSED)('%s: refuses what is cut off at any place', async (compression) => {
    const whole = tail[compression];
    for (let length = 0; length < whole.length; length++) {
      await expect(unpacked(whole.subarray(0, length), compression), `${length} bytes`).rejects.toThrow(FormatError);
    }
    await expect(unpacked(main[compression].subarray(0, -1), compression)).rejects.toThrow(
      `${compression} data is cut off`,
    );
    await expect(collect(decompress(list(whole, whole.subarray(0, 6)), compression))).rejects.toThrow(FormatError);
  });

  it.each(COMPRESSED)('%s: refuses anything after the end', async (compression) => {
    const whole = tail[compression];
    for (const garbage of [
      Buffer.from('x'),
      Buffer.alloc(1),
      Buffer.alloc(1024),
      Buffer.from([0x1f]),
      Buffer.from('\0\0more'),
    ]) {
      await expect(unpacked(Buffer.concat([whole, garbage]), compression), garbage.toString('hex')).rejects.toThrow(
        FormatError,
      );
      await expect(collect(decompress(list(whole, garbage), compression)), garbage.toString('hex')).rejects.toThrow(
        FormatError,
      );
    }
  });

  it.each(COMPRESSED)('%s: drops nothing behind zeros or a frame', async (compression) => {
    const hidden = Buffer.concat([tail[compression], Buffer.alloc(16), tail[compression]]);
    await expect(unpacked(hidden, compression)).rejects.toThrow(FormatError);
  });

  it('gzip: refuses a wrong checksum, and data that is not gzip', async () => {
    const damaged = Buffer.from(gzipped);
    damaged[damaged.length - 6]! ^= 1;
    await expect(unpacked(damaged, 'gzip')).rejects.toThrow('gzip data is damaged');
    await expect(unpacked(TEXT, 'gzip')).rejects.toThrow('gzip data is damaged');
    await expect(unpacked(TEXT, 'zstd')).rejects.toThrow('zstd data is damaged');
  });

  it.each(COMPRESSED)('%s: an error of the source comes through as it is', async (compression) => {
    const failure = new Error('network gone');
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield main[compression].subarray(0, 1000);
      throw failure;
    };
    await expect(collect(decompress(failing(), compression))).rejects.toBe(failure);
  });

  it.each(COMPRESSED)(
    '%s: ends the source when it is left, and reads only as fast as it is read',
    async (compression) => {
      const bomb =
        compression === 'gzip' ? gzipSync(Buffer.alloc(30_000_000)) : zstdCompressSync(Buffer.alloc(30_000_000));
      let ended = false;
      const endless = async function* (): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield bomb;
        } finally {
          ended = true;
        }
      };
      let size = 0;
      for await (const chunk of decompress(endless(), compression)) {
        size += chunk.length;
        if (size > 1_000_000) break;
      }
      expect(ended).toBe(true);
      expect(size).toBeLessThan(2_000_000);
    },
  );

  it('property: undoes compress, whatever the chunks', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 5000 }).map((bytes) => Buffer.from(bytes)),
      fc.integer({ min: 0, max: 700_000 }).map((size) => TEXT.subarray(size / 2, size)),
      fc.integer({ min: 0, max: 700_000 }).map((size) => RANDOM.subarray(0, size)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 4 }),
        fc.constantFrom(...COMPRESSED),
        fc.integer({ min: 1000, max: 100_000 }),
        async (parts, compression, chunkSize) => {
          const whole = await collect(compress(list(...parts), { compression, level: 1 }));
          expect((await unpacked(whole, compression, chunkSize)).equals(Buffer.concat(parts))).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('property: hostile input ends in FormatError or in bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...COMPRESSED),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 5 }),
        async (compression, changes) => {
          const bytes = Buffer.from(
            compression === 'gzip' ? gzipSync(TEXT.subarray(0, 5000)) : zstdCompressSync(TEXT.subarray(0, 5000)),
          );
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const outcome = await unpacked(bytes, compression).catch((error: unknown) => error);
          expect(Buffer.isBuffer(outcome) || outcome instanceof FormatError).toBe(true);
        },
      ),
    );
  });
});

describe('detectCompression', () => {
  it.each([
    ['gzip', gzipSync('x')],
    ['zstd', zstdCompressSync('x', { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
    ['zstd', Buffer.from('5e2a4d1800000000', 'hex')],
    ['bzip2', Buffer.from('BZh91AY')],
    ['xz', Buffer.from('fd377a585a0000', 'hex')],
    ['uncompressed', Buffer.from('fd377a585a', 'hex')],
    ['uncompressed', Buffer.from('hello')],
    ['uncompressed', Buffer.from([0x1f])],
    ['uncompressed', Buffer.alloc(0)],
  ])('%s: is told by its first bytes', (expected, head) => {
    expect(detectCompression(head)).toBe(expected);
  });
});

describeWith(['gzip', 'zstd', 'python3'], 'other programs', () => {
  const inputs: readonly [string, Buffer][] = [
    ['text', TEXT],
    ['random', RANDOM],
    ['mixed', MIXED],
    ['nothing', Buffer.alloc(0)],
    ['noise', randomBytes(600_000)],
  ];

  it.each(inputs)('gzip and python3: read %s', async (_, bytes) => {
    const stdin = await packed(bytes, { compression: 'gzip' });
    expect(await runProgram('gzip', ['-t'], { stdin })).toMatchObject({ status: 0, stderr: '' });
    const script = 'import sys,gzip; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))';
    expect((await runProgram('python3', ['-c', script], { stdin })).stdoutBytes.equals(bytes)).toBe(true);
  });

  it.each(inputs)('zstd: reads %s', async (_, bytes) => {
    const stdin = await packed(bytes, { compression: 'zstd' });
    expect(await runProgram('zstd', ['-t'], { stdin })).toMatchObject({ status: 0 });
    expect((await runProgram('zstd', ['-dc'], { stdin })).stdoutBytes.equals(bytes)).toBe(true);
  });

  it.each(inputs)('gzip -c and zstd -c of %s: are read', async (_, bytes) => {
    const gzip = await runProgram('gzip', ['-c'], { stdin: bytes });
    expect((await unpacked(gzip.stdoutBytes, 'gzip')).equals(bytes)).toBe(true);
    const zstd = await runProgram('zstd', ['-c', '-19'], { stdin: bytes });
    expect((await unpacked(zstd.stdoutBytes, 'zstd')).equals(bytes)).toBe(true);
  });
});
