import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '../src/core/error.ts';
import { type FileStat, typeBits } from './file-stat.ts';
import { makeDirectory } from './make-directory.ts';

/** 32-bit words of a file's state: identity (4), ctime (2), mtime (2), size (2), type and mode. Whoever changes a file's content changes one of them. */
export const STATE_WORDS = 11;
/** And of the sha256 kept for it. */
const DIGEST_WORDS = 8;
const RECORD_WORDS = STATE_WORDS + DIGEST_WORDS;
const MAGIC = Buffer.from('tsbuild stats 1\n');
/** Clocks tick: a file may change once more within the tick of its last change, without a trace in its times. */
const SETTLE_SECONDS = 2;
/** Records of files that were not seen this time: kept for other instructions on the same tree, up to so many. */
const MAX_UNSEEN = 200_000;

/** Writes the state that `stat` shows into `words` from `offset` on. */
export function packState(stat: FileStat, words: Uint32Array, offset: number): void {
  const { identity, ctime, mtime, size, mode } = stat;
  for (let i = 0; i < identity.length; i++) words[offset + i] = identity[i] as number;
  words[offset + 4] = ctime.seconds % 2 ** 32;
  words[offset + 5] = ctime.nanoseconds;
  words[offset + 6] = mtime.seconds % 2 ** 32;
  words[offset + 7] = mtime.nanoseconds;
  words[offset + 8] = size % 2 ** 32;
  words[offset + 9] = Math.floor(size / 2 ** 32);
  words[offset + 10] = typeBits(stat.type) | mode;
}

/**
 * Digests of files that have not changed since they were read, kept in one file per tree. A file that cannot be read, or was written by
 * another version, counts as empty. Processes that write at once lose each other's news, no more.
 */
export class StatCache {
  readonly #path: string;
  readonly #state = new Uint32Array(STATE_WORDS);
  readonly #known: Uint32Array;
  /** Where the record of an inode number begins in `known`. */
  readonly #index = new Map<number, number>();
  readonly #seen = new Set<number>();
  #added = new Uint32Array(1024 * RECORD_WORDS);
  #addedWords = 0;

  constructor(path: string) {
    this.#path = path;
    this.#known = load(path);
    for (let at = 0; at < this.#known.length; at += RECORD_WORDS) this.#index.set(inodeOf(this.#known, at), at);
  }

  /** The digest kept for a file in exactly this state. */
  lookup(stat: FileStat): Buffer | undefined {
    packState(stat, this.#state, 0);
    const at = this.#index.get(inodeOf(this.#state, 0));
    if (at === undefined) return undefined;
    for (let i = 0; i < STATE_WORDS; i++) if (this.#known[at + i] !== this.#state[i]) return undefined;
    this.#seen.add(at);
    const bytes = this.#known.byteOffset + (at + STATE_WORDS) * 4;
    return Buffer.from(this.#known.buffer, bytes, DIGEST_WORDS * 4);
  }

  /** Keeps the digest of a file that was read in this state; one that changed a moment ago is not trusted yet. */
  record(stat: FileStat, digest: Buffer, nowSeconds: number): void {
    if (Math.max(stat.ctime.seconds, stat.mtime.seconds) + SETTLE_SECONDS > nowSeconds) return;
    if (this.#addedWords + RECORD_WORDS > this.#added.length) {
      const grown = new Uint32Array(this.#added.length * 2);
      grown.set(this.#added);
      this.#added = grown;
    }
    packState(stat, this.#added, this.#addedWords);
    Buffer.from(this.#added.buffer, (this.#addedWords + STATE_WORDS) * 4, DIGEST_WORDS * 4).set(digest);
    this.#addedWords += RECORD_WORDS;
  }

  /** Writes what is new, if anything, as a new file in the place of the old one. */
  save(): void {
    if (this.#addedWords === 0) return;
    const replaced = new Set<number>();
    for (let at = 0; at < this.#addedWords; at += RECORD_WORDS) replaced.add(inodeOf(this.#added, at));
    const kept: Uint8Array[] = [];
    let unseen = 0;
    for (let at = 0; at < this.#known.length; at += RECORD_WORDS) {
      if (replaced.has(inodeOf(this.#known, at))) continue;
      if (!this.#seen.has(at) && unseen++ >= MAX_UNSEEN) continue;
      kept.push(bytesOf(this.#known.subarray(at, at + RECORD_WORDS)));
    }
    const temporary = `${this.#path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
    makeDirectory(dirname(this.#path), { mode: 0o700 });
    writeFileSync(temporary, Buffer.concat([MAGIC, ...kept, bytesOf(this.#added.subarray(0, this.#addedWords))]), {
      mode: 0o600,
    });
    renameSync(temporary, this.#path);
  }
}

function load(path: string): Uint32Array {
  try {
    const file = readFileSync(path);
    const records = file.subarray(MAGIC.length);
    if (!file.subarray(0, MAGIC.length).equals(MAGIC) || records.length % (RECORD_WORDS * 4) !== 0)
      return new Uint32Array();
    // A copy: words must be aligned.
    return new Uint32Array(records.buffer.slice(records.byteOffset, records.byteOffset + records.length));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return new Uint32Array();
    throw error;
  }
}

/** The inode number, as far as a number holds it: two that collide only cost a hash. */
function inodeOf(words: Uint32Array, at: number): number {
  return (words[at + 2] as number) * 2 ** 32 + (words[at + 3] as number);
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
