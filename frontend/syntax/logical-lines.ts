import type { Position, SourceRange } from '../../src/core/diagnostic.ts';
import type { Comment, EscapeCharacter } from './elements.ts';
import { Flaw } from '../flaw.ts';
import { DirectiveZone } from './directives.ts';
import { PhysicalLines, type PhysicalLine } from './physical-lines.ts';
import { trim, trimStart } from './white-space.ts';

/** One instruction's text, continued lines joined. */
export interface LogicalLine {
  /** Without white space at its start, escape characters at line ends, comments and empty lines in between. */
  readonly text: string;
  /** The lines as they are in the file, joined by line feeds. */
  readonly raw: string;
  /** From the first character to the end of the last line; here-documents are not part of it. */
  readonly range: SourceRange;
  /** The numbers of empty lines among continued ones. */
  readonly emptyContinuations: readonly number[];
  /** The comments directly above, the nearest last. */
  readonly comments: readonly Comment[];
}

/** The longest physical line, in bytes. */
const MAX_LINE = 65_535;

/** Reads a Dockerfile instruction by instruction; between two of them, here-documents. */
export class LogicalLines {
  readonly #lines: PhysicalLines;
  readonly #file: string;
  readonly #zone = new DirectiveZone();
  readonly #allComments: Comment[] = [];
  #comments: Comment[] = [];

  constructor(bytes: Uint8Array, file: string) {
    this.#lines = new PhysicalLines(bytes);
    this.#file = file;
  }

  /** The directives seen so far; complete as soon as `next` gave the first line. */
  get zone(): DirectiveZone {
    return this.#zone;
  }

  /** All comments read so far. */
  get comments(): readonly Comment[] {
    return this.#allComments;
  }

  /** Where the reader stands: an empty range at the start of the line that was read last. */
  get here(): SourceRange {
    const position = { line: Math.max(1, this.#lines.number), column: 1 };
    return { file: this.#file, start: position, end: position };
  }

  /** The next instruction, or `undefined` at the end. @throws Flaw at a flawed directive or a line that is too long. */
  next(): LogicalLine | undefined {
    for (let line = this.#read(); line !== undefined; line = this.#read()) {
      const text = trimStart(line.text);
      if (this.#zone.accept(text, this.#rangeOf(line, line)) === 'directive') continue;
      if (text.startsWith('#')) {
        const comment = this.#comment(line, text);
        if (comment === undefined) this.#comments = [];
        else this.#comments.push(comment);
      } else if (text === '') {
        this.#comments = [];
      } else {
        return this.#continued(line, text);
      }
    }
    return undefined;
  }

  /**
   * The lines up to `terminator`, as bytes; the terminator's own line is consumed. `undefined` where the file ends before.
   * @throws Flaw at a line that is too long.
   */
  readHeredoc(terminator: string, chomp: 'tabs' | 'none'): Uint8Array | undefined {
    const chunks: Uint8Array[] = [];
    for (let line = this.#read(); line !== undefined; line = this.#read()) {
      if ((chomp === 'tabs' ? line.text.replace(/^\t+/, '') : line.text) === terminator) return Buffer.concat(chunks);
      chunks.push(line.bytes);
    }
    return undefined;
  }

  #continued(first: PhysicalLine, start: string): LogicalLine {
    const { escape } = this.#zone;
    const comments = this.#comments;
    this.#comments = [];
    const raw = [first.text];
    const emptyContinuations: number[] = [];
    let { text, continues } = cutContinuation(start, escape);
    const parts = [text];
    let last = first;
    while (continues) {
      const line = this.#read();
      if (line === undefined) break;
      raw.push(line.text);
      last = line;
      const trimmed = trimStart(line.text);
      if (trimmed.startsWith('#')) this.#comment(line, trimmed);
      else if (trimmed === '') emptyContinuations.push(line.number);
      else {
        ({ text, continues } = cutContinuation(line.text, escape));
        parts.push(text);
      }
    }
    const range = this.#rangeOf(first, last);
    return { text: parts.join(''), raw: raw.join('\n'), range, emptyContinuations, comments };
  }

  #comment(line: PhysicalLine, trimmed: string): Comment | undefined {
    const text = trim(trimmed.slice(1));
    if (text === '') return undefined;
    const comment = { text, range: this.#rangeOf(line, line) };
    this.#allComments.push(comment);
    return comment;
  }

  #read(): PhysicalLine | undefined {
    const line = this.#lines.next();
    if (line !== undefined && line.size > MAX_LINE) {
      throw new Flaw('LineTooLong', `dockerfile line greater than max allowed size of ${MAX_LINE}`, {
        help: 'break it with a line continuation',
      });
    }
    return line;
  }

  #rangeOf(first: PhysicalLine, last: PhysicalLine): SourceRange {
    const start: Position = { line: first.number, column: first.text.length - trimStart(first.text).length + 1 };
    return { file: this.#file, start, end: { line: last.number, column: last.text.length + 1 } };
  }
}

/**
 * Cuts off the escape character that ends a continued line, and blanks after it. An escape character that is itself
 * escaped does not continue the line.
 */
function cutContinuation(line: string, escape: EscapeCharacter): { text: string; continues: boolean } {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  const continues = line[end - 1] === escape && line[end - 2] !== escape;
  return continues ? { text: line.slice(0, end - 1), continues } : { text: line, continues };
}
