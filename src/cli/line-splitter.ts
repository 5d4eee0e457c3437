import { afterReturns } from './control-sequences.ts';

/** A line without an end is passed on in pieces of this length, so that it cannot fill the memory. */
const MAX_PENDING = 64 * 1024;

/** Cuts one stream of output into lines; bytes that are no UTF-8 become replacement characters. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #pending = '';

  /** The lines that `chunk` completes, without their ends; of a line that returned to its start only what was written last. */
  push(chunk: Uint8Array): readonly string[] {
    const [first = '', ...others] = this.#decoder.decode(chunk, { stream: true }).split('\n');
    const last = others.pop();
    const lines = last === undefined ? [] : [this.#pending + first, ...others].map(completeLine);
    this.#pending = last ?? this.#pending + first;
    if ((last ?? first).includes('\r')) this.#pending = collapse(this.#pending);
    if (this.#pending.length > MAX_PENDING) lines.push(...this.#flush());
    return lines;
  }

  /** The unfinished line as a terminal would show it now; empty if there is none. */
  get pending(): string {
    return completeLine(this.#pending);
  }

  /** The last line, where it has no end. */
  end(): readonly string[] {
    this.#pending += this.#decoder.decode();
    return this.#flush();
  }

  #flush(): readonly string[] {
    const line = completeLine(this.#pending);
    this.#pending = '';
    return line === '' ? [] : [line];
  }
}

function completeLine(line: string): string {
  return afterReturns(line.endsWith('\r') ? line.slice(0, -1) : line);
}

/** Drops what was overwritten; a return at the end stays, because the next character decides what it means. */
function collapse(line: string): string {
  return afterReturns(line) + (line.endsWith('\r') ? '\r' : '');
}
