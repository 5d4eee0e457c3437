import type { Diagnostic, SourceRange } from '../src/core/diagnostic.ts';
import type { Dockerfile, GlobalArg, Stage } from './ast.ts';
import type { Instruction } from './instruction.ts';
import { compareDiagnostics } from './lint/reporter.ts';
import { argNodeOf } from './instructions/arg.ts';
import { fromNodeOf } from './instructions/from.ts';
import { readInstructions } from './read-instructions.ts';
import { classifyFrontend, detectSyntax } from './syntax/frontend-reference.ts';

/** A parsed Dockerfile and all that is wrong with it; with errors, what could be understood. */
export interface ParseResult {
  readonly dockerfile: Dockerfile;
  /** In the order of the file. Lint findings come from lowering, which knows the build's arguments. */
  readonly diagnostics: readonly Diagnostic[];
}

const MAX_BYTES = 1024 * 1024;
const HEAD_BYTES = 16 * 1024;

/**
 * Parses a Dockerfile in time linear in its length; never throws, whatever the bytes.
 * `syntax` takes the place of the file's syntax directive (the build argument BUILDKIT_SYNTAX).
 */
export function parseDockerfile(text: Uint8Array, o: { readonly file: string; readonly syntax?: string }): ParseResult {
  const start = { line: 1, column: 1 };
  const top: SourceRange = { file: o.file, start, end: start };
  const refusal = text.length > MAX_BYTES ? tooLarge(top) : refuseFrontend(text, { top, override: o.syntax });
  const { instructions, directives, escape, comments, diagnostics } = readInstructions(
    refusal === undefined ? text : new Uint8Array(),
    o.file,
  );
  const { stages, globalArgs, strays } = intoStages(instructions);
  const found = [...diagnostics, ...strays.map(noStage)];
  const missing =
    refusal ?? (found.length > 0 || stages.length > 0 ? undefined : nothingToBuild({ instructions, top, text }));
  const all = missing === undefined ? found : [missing];
  return {
    dockerfile: { file: o.file, escape, directives, globalArgs, stages, comments },
    diagnostics: all.toSorted(compareDiagnostics),
  };
}

interface Sorted {
  readonly stages: readonly Stage[];
  readonly globalArgs: readonly GlobalArg[];
  /** Before the first FROM, where they may not be. */
  readonly strays: readonly Instruction[];
}

function intoStages(instructions: readonly Instruction[]): Sorted {
  const stages: { readonly stage: Omit<Stage, 'instructions'>; readonly instructions: Instruction[] }[] = [];
  const globalArgs: GlobalArg[] = [];
  const strays: Instruction[] = [];
  for (const instruction of instructions) {
    const from = fromNodeOf(instruction);
    const arg = argNodeOf(instruction);
    const current = stages.at(-1);
    if (from !== undefined) {
      const { name, description } = from;
      const parts = { ...(name !== undefined && { name }), ...(description !== undefined && { description }) };
      stages.push({ stage: { index: stages.length, from: instruction, node: from, ...parts }, instructions: [] });
    } else if (current !== undefined) current.instructions.push(instruction);
    else if (arg !== undefined) globalArgs.push({ instruction, node: arg });
    else strays.push(instruction);
  }
  return {
    stages: stages.map(({ stage, instructions: own }) => ({ ...stage, instructions: own })),
    globalArgs,
    strays,
  };
}

/** Frontends are programs; tsbuild runs none, and says so before it misreads their language. */
function refuseFrontend(
  text: Uint8Array,
  o: { readonly top: SourceRange; readonly override: string | undefined },
): Diagnostic | undefined {
  const syntax = o.override ?? detectSyntax(new TextDecoder().decode(text.subarray(0, HEAD_BYTES)));
  const request = syntax === undefined ? undefined : classifyFrontend(syntax);
  if (request?.kind !== 'foreign') return undefined;
  return {
    severity: 'error',
    code: 'UnsupportedFrontend',
    message: `the frontend ${request.reference} is not supported`,
    range: o.top,
    help: 'tsbuild reads Dockerfiles itself: write # syntax=docker/dockerfile:1, or leave the line out',
  };
}

function tooLarge(range: SourceRange): Diagnostic {
  return {
    severity: 'error',
    code: 'FileTooLarge',
    message: `the Dockerfile is larger than ${MAX_BYTES} bytes`,
    range,
  };
}

function noStage({ range, word }: Instruction): Diagnostic {
  return {
    severity: 'error',
    code: 'NoStage',
    message: 'no build stage in current context',
    range,
    help: `only ARG may come before the first FROM: move ${word.toUpperCase()} below it`,
  };
}

function nothingToBuild(o: {
  readonly instructions: readonly Instruction[];
  readonly top: SourceRange;
  readonly text: Uint8Array;
}): Diagnostic {
  if (o.instructions.length > 0)
    return {
      severity: 'error',
      code: 'NoStage',
      message: 'dockerfile contains no stages to build',
      range: o.top,
      help: 'add a FROM',
    };
  const message = o.text.length === 0 ? 'the Dockerfile cannot be empty' : 'file with no instructions';
  return { severity: 'error', code: 'EmptyDockerfile', message, range: o.top };
}
