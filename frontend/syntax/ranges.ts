import { DockerfileParser, ModifiableInstruction, type Instruction as AstInstruction } from 'dockerfile-ast';
import type { SourceRange } from '../../src/core/diagnostic.ts';
import type { EscapeCharacter } from '../ast.ts';
import type { Place } from '../flaw.ts';
import type { LogicalLine } from './logical-lines.ts';

/** A range as dockerfile-ast counts: from 0. */
interface AstRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

/** Longer instructions are not taken apart: dockerfile-ast's work grows faster than their length. */
const MAX_LENGTH = 16 * 1024;

/**
 * Where `place` lies in the file; the whole instruction where it cannot be told. dockerfile-ast finds it: it sees this one
 * instruction only, behind a directive that names the escape character, and its lines are shifted to the file's.
 */
export function rangeOf(place: Place, line: LogicalLine, escape: EscapeCharacter): SourceRange {
  if (place.kind === 'instruction' || line.raw.length > MAX_LENGTH) return line.range;
  const instruction = DockerfileParser.parse(`# escape=${escape}\n${line.raw}`).getInstructions()[0];
  const range = instruction === undefined ? undefined : find(place, instruction);
  if (range === undefined || range === null) return line.range;
  const toPosition = (position: AstRange['start']): SourceRange['start'] => ({
    line: position.line - 1 + line.range.start.line,
    column: position.character + 1,
  });
  return { file: line.range.file, start: toPosition(range.start), end: toPosition(range.end) };
}

function find(place: Exclude<Place, { kind: 'instruction' }>, instruction: AstInstruction): AstRange | undefined {
  switch (place.kind) {
    case 'keyword':
      return instruction.getInstructionRange();
    case 'flag':
      return instruction instanceof ModifiableInstruction
        ? instruction
            .getFlags()
            .findLast((flag) => flag.getName() === place.name)
            ?.getRange()
        : instruction
            .getArguments()
            .find((argument) => argument.getValue().startsWith(`--${place.name}`))
            ?.getRange();
    case 'argument':
      return instruction.getArguments()[place.index]?.getRange();
    case 'word': {
      const all = instruction.getArguments();
      return (
        all.find((argument) => argument.getValue() === place.text) ??
        all.find((argument) => argument.getValue().includes(place.text))
      )?.getRange();
    }
    case 'variable':
      return instruction
        .getVariables()
        .find((variable) => variable.getName() === place.name)
        ?.getRange();
  }
}
