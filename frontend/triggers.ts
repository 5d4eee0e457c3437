import type { Diagnostic } from '../src/core/diagnostic.ts';
import type { Stage } from './ast.ts';
import type { Instruction } from './instruction.ts';
import { onbuildNodeOf } from './instructions/onbuild.ts';
import { readInstructions } from './read-instructions.ts';

/** What ONBUILD of a base adds to a stage. */
export interface Triggers {
  readonly instructions: readonly Instruction[];
  readonly diagnostics: readonly Diagnostic[];
}

/** The texts that the ONBUILDs of a stage keep for its children. */
export function triggersOf(stage: Stage): readonly string[] {
  return stage.instructions.flatMap((instruction) => onbuildNodeOf(instruction)?.trigger ?? []);
}

/** Parses triggers for `stage`. They have no place in the file, so all that is said of them is said of the stage's FROM. */
export function parseTriggers(texts: readonly string[], { from }: Stage): Triggers {
  const lists = texts.map((text) => {
    const { instructions, diagnostics } = readInstructions(Buffer.from(text), from.range.file);
    const count = instructions.length + diagnostics.length;
    if (count === 1 && instructions.every(isAllowed)) return { instructions, diagnostics };
    const message =
      count === 1 ? `${text} isn't allowed as an ONBUILD trigger` : 'onbuild trigger should be a single expression';
    return { instructions: [], diagnostics: [{ severity: 'error', code: 'InvalidTrigger', message } as const] };
  });
  return {
    instructions: lists
      .flatMap(({ instructions }) => instructions)
      .map((instruction) => ({
        ...instruction,
        range: from.range,
        line: { ...instruction.line, range: from.line.range },
      })),
    diagnostics: lists
      .flatMap(({ diagnostics }) => diagnostics)
      .map((diagnostic) => ({
        ...diagnostic,
        message: `ONBUILD of the base: ${diagnostic.message}`,
        range: from.range,
      })),
  };
}

function isAllowed({ keyword }: Instruction): boolean {
  return !['FROM', 'ONBUILD', 'MAINTAINER'].includes(keyword);
}
