import type { SourceRange } from '../../src/core/diagnostic.ts';
import type { Dockerfile, Stage } from '../ast.ts';
import type { Instruction } from '../instruction.ts';
import { argNodeOf } from '../instructions/arg.ts';
import { fromNodeOf } from '../instructions/from.ts';
import { rangeOf } from '../syntax/ranges.ts';
import type { Finding } from './reporter.ts';
import { MESSAGES } from './rules.ts';

const RESERVED = ['context', 'scratch'];

/** The findings that the text alone shows. */
export function* lintSyntax(dockerfile: Dockerfile): Generator<Finding> {
  yield* emptyContinuations(dockerfile);
  yield* stageNames(dockerfile);
  yield* instructionCasing(dockerfile);
  yield* descriptions(dockerfile);
}

/** Every instruction of the file, in order. */
export function* allInstructions({ globalArgs, stages }: Dockerfile): Generator<Instruction> {
  for (const { instruction } of globalArgs) yield instruction;
  for (const stage of stages) {
    yield stage.from;
    yield* stage.instructions;
  }
}

function* emptyContinuations(dockerfile: Dockerfile): Generator<Finding> {
  for (const instruction of allInstructions(dockerfile)) {
    const { emptyContinuations: lines, range } = instruction.line;
    const [first] = lines;
    if (first === undefined) continue;
    const edits = lines.map((line) => ({ range: lineRange(range.file, line), text: '' }));
    yield {
      rule: 'NoEmptyContinuation',
      message: MESSAGES.NoEmptyContinuation(),
      instruction,
      range: lineRange(range.file, first),
      help: 'remove the empty line',
      edits,
    };
  }
}

/** A whole line, its line feed included. */
function lineRange(file: string, line: number): SourceRange {
  return { file, start: { line, column: 1 }, end: { line: line + 1, column: 1 } };
}

function* stageNames(dockerfile: Dockerfile): Generator<Finding> {
  const seen = new Set<string>();
  for (const stage of dockerfile.stages) {
    yield* casing(stage, dockerfile);
    if (stage.name === undefined) continue;
    const place = { kind: 'argument', index: 2 } as const;
    const instruction = stage.from;
    if (RESERVED.includes(stage.name))
      yield { rule: 'ReservedStageName', message: MESSAGES.ReservedStageName(stage.name), instruction, place };
    if (seen.has(stage.name))
      yield { rule: 'DuplicateStageName', message: MESSAGES.DuplicateStageName(stage.name), instruction, place };
    seen.add(stage.name);
  }
}

function* casing({ from, node }: Stage, { escape }: Dockerfile): Generator<Finding> {
  const { name, nameAsWritten, as } = node;
  if (name === undefined || nameAsWritten === undefined || as === undefined) return;
  if (name !== nameAsWritten) {
    const place = { kind: 'argument', index: 2 } as const;
    const edits = [{ range: rangeOf(place, from.line, escape), text: name }];
    yield {
      rule: 'StageNameCasing',
      message: MESSAGES.StageNameCasing(nameAsWritten),
      instruction: from,
      place,
      edits,
    };
  }
  const wanted = uniformCase(from.word) === 'lower' ? as.toLowerCase() : as.toUpperCase();
  if (uniformCase(from.word) !== undefined && as !== wanted) {
    const place = { kind: 'argument', index: 1 } as const;
    const edits = [{ range: rangeOf(place, from.line, escape), text: wanted }];
    yield { rule: 'FromAsCasing', message: MESSAGES.FromAsCasing(from.word, as), instruction: from, place, edits };
  }
}

function* instructionCasing(dockerfile: Dockerfile): Generator<Finding> {
  const instructions = dockerfile.stages.flatMap((stage) => [stage.from, ...stage.instructions]);
  const count = (wanted: 'lower' | 'upper'): number =>
    instructions.filter(({ word }) => uniformCase(word) === wanted).length;
  const majority = count('lower') > count('upper') ? 'lowercase' : 'uppercase';
  for (const instruction of instructions) {
    const { word, line } = instruction;
    const wanted = majority === 'lowercase' ? word.toLowerCase() : word.toUpperCase();
    if (word === wanted) continue;
    const { start, file } = line.range;
    const range = { file, start, end: { line: start.line, column: start.column + word.length } };
    const message = MESSAGES.ConsistentInstructionCasing(word, majority);
    yield { rule: 'ConsistentInstructionCasing', message, instruction, range, edits: [{ range, text: wanted }] };
  }
}

function uniformCase(word: string): 'lower' | 'upper' | undefined {
  if (word === word.toLowerCase()) return 'lower';
  return word === word.toUpperCase() ? 'upper' : undefined;
}

function* descriptions(dockerfile: Dockerfile): Generator<Finding> {
  for (const instruction of allInstructions(dockerfile)) {
    const names = definedNames(instruction);
    const comment = instruction.comments.findLast(({ text }) => !isSwitch(text));
    const [first] = names;
    if (comment === undefined || first === undefined || names.includes(comment.text.split(' ')[0] ?? '')) continue;
    const message = MESSAGES.InvalidDefinitionDescription(instruction.keyword, names.length > 1 ? '<arg_key>' : first);
    yield { rule: 'InvalidDefinitionDescription', message, instruction, range: comment.range };
  }
}

/** `check=skip=…` describes nothing. */
function isSwitch(comment: string): boolean {
  return /^check\s*=/.test(comment);
}

function definedNames(instruction: Instruction): readonly string[] {
  const arg = argNodeOf(instruction);
  if (arg !== undefined) return arg.args.map(({ name }) => name);
  const name = fromNodeOf(instruction)?.name;
  return name === undefined ? [] : [name];
}
