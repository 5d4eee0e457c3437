/** A place in a text: `line` and `column` are 1-based; columns count UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A half-open stretch of one file; `file` is the name to show, as the user gave it. */
export interface SourceRange {
  readonly file: string;
  readonly start: Position;
  readonly end: Position;
}

/** A mechanical change that would mend a flaw: replace what `range` covers by `text`. */
export interface SourceEdit {
  readonly range: SourceRange;
  readonly text: string;
}

/**
 * A flaw or a warning found in an input file.
 * `code` is the lint rule's name (`StageNameCasing`) or, for errors, a stable name of the flaw (`UnknownInstruction`).
 * `message` says what is wrong, `help` the way out.
 */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly range?: SourceRange;
  readonly help?: string;
  readonly url?: string;
  readonly edits?: readonly SourceEdit[];
}
