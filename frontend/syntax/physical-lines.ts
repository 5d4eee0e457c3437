/** One line of the file. */
export interface PhysicalLine {
  /** Counts from 1. */
  readonly number: number;
  /** Without the line feed and carriage returns at its end. */
  readonly text: string;
  /** The bytes of `text`. */
  readonly size: number;
  /** With the line's end, as in the file. */
  readonly bytes: Uint8Array;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Gives the lines of a file one after the other. */
export class PhysicalLines {
  readonly #bytes: Uint8Array;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #at: number;
  #number = 0;

  /** A byte order mark at the start of `bytes` is skipped. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte) ? BYTE_ORDER_MARK.length : 0;
  }

  /** The number of the line that `next` gave last; 0 before the first. */
  get number(): number {
    return this.#number;
  }

  /** The next line, or `undefined` after the last. What follows the last line feed counts only if it is not empty. */
  next(): PhysicalLine | undefined {
    const start = this.#at;
    if (start >= this.#bytes.length) return undefined;
    const lineFeed = this.#bytes.indexOf(LINE_FEED, start);
    this.#at = lineFeed === -1 ? this.#bytes.length : lineFeed + 1;
    let end = lineFeed === -1 ? this.#bytes.length : lineFeed;
    while (end > start && this.#bytes[end - 1] === CARRIAGE_RETURN) end--;
    this.#number++;
    return {
      number: this.#number,
      text: this.#decoder.decode(this.#bytes.subarray(start, end)),
      size: end - start,
      bytes: this.#bytes.subarray(start, this.#at),
    };
  }
}
