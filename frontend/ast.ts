import type { Instruction } from './instruction.ts';
import type { ArgNode } from './instructions/arg.ts';
import type { FromNode } from './instructions/from.ts';
import type { Comment, Directive, EscapeCharacter } from './syntax/elements.ts';

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
