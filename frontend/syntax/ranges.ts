import { createRequire } from 'node:module';
import type * as dockerfileAstModule from 'dockerfile-ast';
import type { Argument, Instruction as AstInstruction, Variable } from 'dockerfile-ast';
import type { SourceRange } from '../../src/core/diagnostic.ts';
import type { EscapeCharacter } from './elements.ts';
import type { Place } from '../flaw.ts';
import type { LogicalLine } from './logical-lines.ts';

/** A range as dockerfile-ast counts: from 0. */
interface AstRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

/** One instruction as dockerfile-ast sees it; its lists are made on demand, and once. */
class AstLine {
  readonly line: LogicalLine;
  readonly #instruction: AstInstruction | undefined;
  #arguments: readonly Argument[] | undefined;
  #variables: readonly Variable[] | undefined;

  constructor(line: LogicalLine, escape: EscapeCharacter) {
    this.line = line;
    this.#instruction = dockerfileAst().DockerfileParser.parse(`# escape=${escape}\n${line.raw}`).getInstructions()[0];
  }

  find(place: Exclude<Place, { kind: 'instruction' }>): AstRange | undefined {
    switch (place.kind) {
      case 'keyword':
        return this.#instruction?.getInstructionRange();
      case 'flag':
        return this.#flag(place.name);
      case 'argument':
        return this.#args()[place.index]?.getRange();
      case 'word': {
        const { text } = place;
        const exact = this.#args().find((argument) => argument.getValue() === text);
        return (exact ?? this.#args().find((argument) => argument.getValue().includes(text)))?.getRange();
      }
      case 'variable':
        return this.#vars()
          .find((variable) => variable.getName() === place.name)
          ?.getRange();
    }
  }

  #flag(name: string): AstRange | undefined {
    if (!(this.#instruction instanceof dockerfileAst().ModifiableInstruction)) {
      return this.#args()
        .find((argument) => argument.getValue().startsWith(`--${name}`))
        ?.getRange();
    }
    return this.#instruction
      .getFlags()
      .findLast((flag) => flag.getName() === name)
      ?.getRange();
  }

  #args(): readonly Argument[] {
    return (this.#arguments ??= this.#instruction?.getArguments() ?? []);
  }

  #vars(): readonly Variable[] {
    return (this.#variables ??= this.#instruction?.getVariables() ?? []);
  }
}

type DockerfileAst = typeof dockerfileAstModule;

const require = createRequire(import.meta.url);

/** Loaded by the first flaw: a Dockerfile without any does not wait for it. */
function dockerfileAst(): DockerfileAst {
  return require('dockerfile-ast') as DockerfileAst;
}

/** Longer instructions are not taken apart: dockerfile-ast's work grows faster than their length. */
const MAX_LENGTH = 8 * 1024;

/**
 * Finds parts of instructions in the file. dockerfile-ast sees one instruction at a time, behind a directive that names the
 * escape character, and its lines are shifted to the file's. The instruction asked about last is remembered.
 */
export class RangeFinder {
  readonly #escape: EscapeCharacter;
  #last: AstLine | undefined;

  constructor(escape: EscapeCharacter) {
    this.#escape = escape;
  }

  /** Where `place` lies; the whole instruction where it cannot be told. */
  find(place: Place, line: LogicalLine): SourceRange {
    if (place.kind === 'instruction' || line.raw.length > MAX_LENGTH) return line.range;
    if (this.#last?.line !== line) this.#last = new AstLine(line, this.#escape);
    const range = this.#last.find(place);
    if (range === undefined) return line.range;
    const toPosition = (position: AstRange['start']): SourceRange['start'] => ({
      line: position.line - 1 + line.range.start.line,
      column: position.character + 1,
    });
    return { file: line.range.file, start: toPosition(range.start), end: toPosition(range.end) };
  }
}

/** Where `place` lies, for one question only. */
export function rangeOf(place: Place, line: LogicalLine, escape: EscapeCharacter): SourceRange {
  return new RangeFinder(escape).find(place, line);
}
