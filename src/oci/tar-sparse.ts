import { FormatError } from './format-error.ts';
import type { PaxSparse } from './tar-pax.ts';
import { readNumber } from './tar-header.ts';

/** Where the data of a sparse file belongs: in order, apart from each other, inside the file. The rest reads as zeros. */
export interface SparseMap {
  readonly realSize: number;
  readonly segments: readonly SparseSegment[];
}

/** A run of data at `offset` of the file. */
export interface SparseSegment {
  readonly offset: number;
  readonly length: number;
}

/** Where a GNU header (type `S`) and its extension blocks keep segments: 24 bytes each, offset and length. */
const GNU_SEGMENTS = { first: 386, count: 4, extended: 482, realSize: [483, 12] } as const;
const GNU_EXTENSION = { first: 0, count: 21, extended: 504 } as const;
const SEGMENT_WIDTH = 24;
const NUMBER_WIDTH = 12;
const NEWLINE = 0x0a;

/** Collects the map of a GNU sparse file from its header and the extension blocks after it. */
export class GnuSparseReader {
  readonly #realSize: number;
  readonly #limit: number;
  readonly #segments: SparseSegment[] = [];
  #bytes = 0;
  /** Whether a further extension block follows. */
  extended: boolean;

  constructor(header: Buffer, limit: number) {
    this.#limit = limit;
    this.#realSize = readNumber(header, GNU_SEGMENTS.realSize);
    this.extended = this.#read(header, GNU_SEGMENTS);
  }

  /** Reads an extension block. @throws FormatError beyond the limit. */
  extend(block: Buffer): void {
    this.#bytes += block.length;
    if (this.#bytes > this.#limit) throw new FormatError(`sparse map is larger than ${this.#limit} bytes`);
    this.extended = this.#read(block, GNU_EXTENSION);
  }

  /** The whole map, for `dataSize` bytes of data. @throws FormatError */
  finish(dataSize: number): SparseMap {
    return checkSparseMap({ realSize: this.#realSize, segments: this.#segments }, dataSize);
  }

  #read(block: Buffer, { first, count, extended }: { first: number; count: number; extended: number }): boolean {
    for (let i = 0; i < count; i++) {
      const at = first + i * SEGMENT_WIDTH;
      if (block[at] === 0) break;
      const offset = readNumber(block, [at, NUMBER_WIDTH]);
      this.#segments.push({ offset, length: readNumber(block, [at + NUMBER_WIDTH, NUMBER_WIDTH]) });
    }
    return block[extended] !== 0;
  }
}

/** Collects the map that GNU's PAX format 1.0 puts before the data: decimal lines (count, then offset and length each) in whole blocks. */
export class SparseMapReader {
  readonly #numbers: number[] = [];
  readonly #limit: number;
  #digits = '';
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Reads the next block. @returns whether the map is complete. */
  push(block: Uint8Array): boolean {
    this.#bytes += block.length;
    if (this.#bytes > this.#limit) throw new FormatError(`sparse map is larger than ${this.#limit} bytes`);
    for (const byte of block) {
      if (byte === NEWLINE) this.#endLine();
      else this.#digits += String.fromCharCode(byte);
      if (this.#complete) return true;
    }
    return false;
  }

  /** The whole map, for `dataSize` bytes of data after it. @throws FormatError */
  finish(realSize: number | undefined, dataSize: number): SparseMap {
    if (realSize === undefined) throw new FormatError('sparse file without its real size');
    return checkSparseMap({ realSize, segments: toSegments(this.#numbers.slice(1)) }, dataSize);
  }

  get #complete(): boolean {
    return this.#numbers.length > 0 && this.#numbers.length === 1 + 2 * (this.#numbers[0] as number);
  }

  #endLine(): void {
    if (!/^\d{1,15}$/.test(this.#digits)) throw new FormatError('not a number in a sparse map');
    this.#numbers.push(Number(this.#digits));
    this.#digits = '';
  }
}

/** The map that PAX records of versions 0.0 and 0.1 hold, for `dataSize` bytes of data; `undefined` if they hold none. @throws FormatError */
export function sparseMapOf({ map, realSize }: PaxSparse, dataSize: number): SparseMap | undefined {
  if (map === undefined) return undefined;
  if (realSize === undefined) throw new FormatError('sparse file without its real size');
  return checkSparseMap({ realSize, segments: toSegments(map) }, dataSize);
}

/** Where expanded content goes: data as it stands, holes as counts of zeros. */
export interface SparseSink {
  data(chunk: Uint8Array): void;
  hole(size: number): void;
}

/** Puts the holes back between the data of a sparse file. */
export class SparseExpander {
  readonly #map: SparseMap;
  readonly #sink: SparseSink;
  #next = 0;
  #position = 0;

  constructor(map: SparseMap, sink: SparseSink) {
    this.#map = map;
    this.#sink = sink;
  }

  /** Takes the next bytes of data. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const { offset, length } = this.#map.segments[this.#next] as SparseSegment;
      this.#skipTo(offset);
      const taken = Math.min(offset + length - this.#position, chunk.length - at);
      if (taken > 0) this.#sink.data(chunk.subarray(at, at + taken));
      at += taken;
      this.#position += taken;
      if (this.#position === offset + length) this.#next++;
    }
  }

  /** Puts the hole at the end of the file. */
  finish(): void {
    this.#skipTo(this.#map.realSize);
  }

  #skipTo(position: number): void {
    if (position <= this.#position) return;
    this.#sink.hole(position - this.#position);
    this.#position = position;
  }
}

function toSegments(numbers: readonly number[]): SparseSegment[] {
  if (numbers.length % 2 !== 0) throw new FormatError('sparse map with an offset but no length');
  return Array.from({ length: numbers.length / 2 }, (_, i) => ({
    offset: numbers[2 * i] as number,
    length: numbers[2 * i + 1] as number,
  }));
}

function checkSparseMap(map: SparseMap, dataSize: number): SparseMap {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of map.segments) {
    if (offset < end || length < 0 || offset + length > map.realSize)
      throw new FormatError('sparse map out of order or outside its file');
    end = offset + length;
    sum += length;
  }
  if (sum !== dataSize) throw new FormatError(`sparse map of ${sum} bytes for ${dataSize} bytes of data`);
  return { realSize: map.realSize, segments: map.segments.filter(({ length }) => length > 0) };
}
