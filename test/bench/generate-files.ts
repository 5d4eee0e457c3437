import { mkdirSync, openSync, closeSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Pseudo-random numbers from a seed (xorshift32): the same on every machine. */
function randomWords(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Bytes that no compressor makes smaller. */
export function randomBytes(size: number, seed: number): Buffer {
  const next = randomWords(seed);
  const words = Uint32Array.from({ length: Math.ceil(size / 4) }, next);
  return Buffer.from(words.buffer, 0, size);
}

/** Lines of words, as a log or source text has them. */
export function text(size: number, seed: number): Buffer {
  const next = randomWords(seed);
  const words = Array.from({ length: 512 }, () =>
    next()
      .toString(36)
      .slice(0, 3 + (next() % 6)),
  );
  const bytes = Buffer.alloc(size, '\n');
  for (let at = 0; at < size;) {
    const word = words[next() % words.length] ?? '';
    at += bytes.write(`${word}${next() % 12 === 0 ? '\n' : ' '}`, at, 'latin1') || 1;
  }
  return bytes;
}

/** Writes `count` files of together `bytes` bytes into directories of a hundred; half is text, half random. */
export function writeManyFiles(folder: string, { count, bytes }: { count: number; bytes: number }): void {
  const size = Math.floor(bytes / count);
  const halves = [text(1 << 20, 7), randomBytes(1 << 20, 11)] as const;
  for (let i = 0; i < count; i += 1) {
    const directory = join(folder, `d${Math.floor(i / 100)}`);
    if (i % 100 === 0) mkdirSync(directory, { recursive: true });
    const source = halves[i % 2] ?? halves[0];
    const start = (i * 4099) % (source.length - size);
    writeFileSync(join(directory, `file-${i}`), source.subarray(start, start + size));
  }
}

/** Writes one file of `bytes` bytes in blocks that all differ. */
export function writeBigFile(path: string, { bytes, kind }: { bytes: number; kind: 'random' | 'text' }): void {
  const block = 8 << 20;
  const make = kind === 'random' ? randomBytes : text;
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes; at += block) writeSync(file, make(Math.min(block, bytes - at), 1 + at / block));
  closeSync(file);
}
