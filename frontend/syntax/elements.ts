import type { SourceRange } from '../../src/core/diagnostic.ts';

/** The character that continues a line and takes the next one's meaning away. */
export type EscapeCharacter = '\\' | '`';

/** A parser directive at the top of the file. */
export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check';
  readonly value: string;
  readonly range: SourceRange;
}

/** A comment, without `#` and white space around it; never empty. */
export interface Comment {
  readonly text: string;
  readonly range: SourceRange;
}

/** A here-document: `<<NAME` and the lines up to `NAME`. */
export interface Heredoc {
  readonly name: string;
  /** `no`: a part of the delimiter was quoted. */
  readonly expand: 'yes' | 'no';
  /** `tabs`: written `<<-`; leading tabs of the lines are not part of the content. */
  readonly chomp: 'tabs' | 'none';
  /** The bytes as they are in the file, tabs and carriage returns included. */
  readonly body: Uint8Array;
}
