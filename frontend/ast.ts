import type { SourceRange } from '../src/core/diagnostic.ts';
import type { Command } from './instruction.ts';
import type { LogicalLine } from './syntax/logical-lines.ts';
import type { ArgNode } from './instructions/arg.ts';
import type { FromNode } from './instructions/from.ts';
import type { RuleSelection } from './lint/check-options.ts';

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

/** One instruction. */
export interface Instruction {
  /** In upper case. */
  readonly keyword: string;
  /** The keyword as written. */
  readonly word: string;
  /** What the keyword's definition made of the text. */
  readonly command: Command;
  /** From the keyword to the end of the last line, here-documents included. */
  readonly range: SourceRange;
  readonly line: LogicalLine;
  readonly heredocs: readonly Heredoc[];
  /** Directly above it, in order. */
  readonly comments: readonly Comment[];
  /** The rules that a `# check=skip=…` comment above it switches off. */
  readonly skippedRules: RuleSelection;
}

/** FROM and what follows up to the next FROM. */
export interface Stage {
  /** Counts from 0 in the order of the file. */
  readonly index: number;
  /** In lower case. */
  readonly name?: string;
  readonly from: Instruction;
  readonly node: FromNode;
  readonly instructions: readonly Instruction[];
  /** The text after `# NAME ` in a comment above. */
  readonly description?: string;
}

/** An ARG before the first FROM. */
export interface GlobalArg {
  readonly instruction: Instruction;
  readonly node: ArgNode;
}

/** A parsed Dockerfile. */
export interface Dockerfile {
  /** The name to show. */
  readonly file: string;
  readonly escape: EscapeCharacter;
  readonly directives: readonly Directive[];
  readonly globalArgs: readonly GlobalArg[];
  readonly stages: readonly Stage[];
  /** All comments of the file, those in continued lines included, in order. */
  readonly comments: readonly Comment[];
}
