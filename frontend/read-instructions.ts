import type { Diagnostic, SourceRange } from '../src/core/diagnostic.ts';
import type { Instruction } from './instruction.ts';
import type { Comment, Directive, EscapeCharacter, Heredoc } from './syntax/elements.ts';
import { Flaw } from './flaw.ts';
import { INSTRUCTIONS, KEYWORDS } from './instructions/index.ts';
import { skippedRules } from './lint/check-options.ts';
import { didYouMean } from '../src/core/nearest-name.ts';
import { cutFlags, parseFlags } from './syntax/flags.ts';
import { heredocOperators } from './syntax/heredoc.ts';
import { LogicalLines, type LogicalLine } from './syntax/logical-lines.ts';
import { rangeOf } from './syntax/ranges.ts';
import { splitWords, trim } from './syntax/white-space.ts';
import { parseJsonForm } from './syntax/words.ts';

/** A text taken apart into instructions, before they are sorted into stages. */
export interface InstructionList {
  readonly instructions: readonly Instruction[];
  readonly directives: readonly Directive[];
  readonly escape: EscapeCharacter;
  readonly comments: readonly Comment[];
  readonly diagnostics: readonly Diagnostic[];
}

/** More instructions than any real Dockerfile has: bounds the work that a hostile one can ask for. */
const MAX_INSTRUCTIONS = 20_000;

/** Takes `bytes` apart; a flawed instruction is left out and reported, and reading goes on behind it. */
export function readInstructions(bytes: Uint8Array, file: string): InstructionList {
  const lines = new LogicalLines(bytes, file);
  const instructions: Instruction[] = [];
  const diagnostics: Diagnostic[] = [];
  try {
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      if (instructions.length === MAX_INSTRUCTIONS)
        throw new Flaw('TooManyInstructions', `more than ${MAX_INSTRUCTIONS} instructions`);
      const read = readInstruction(line, lines);
      if ('command' in read) instructions.push(read);
      else diagnostics.push(read);
    }
  } catch (error) {
    if (!(error instanceof Flaw)) throw error;
    diagnostics.push(diagnosticOf(error, lines.here));
  }
  const { zone, comments } = lines;
  return { instructions, directives: zone.directives, escape: zone.escape, comments, diagnostics };
}

/** A flaw as an error, about `range` if it is of any place. */
export function diagnosticOf(flaw: Flaw, range?: SourceRange): Diagnostic {
  return {
    severity: 'error',
    code: flaw.code,
    message: flaw.message,
    ...(range !== undefined && { range }),
    ...(flaw.help !== undefined && { help: flaw.help }),
  };
}

/** An instruction's text in its parts, flags not yet understood. */
interface Parts {
  readonly word: string;
  readonly keyword: string;
  readonly flags: readonly string[];
  readonly text: string;
}

function readInstruction(line: LogicalLine, lines: LogicalLines): Instruction | Diagnostic {
  const { escape } = lines.zone;
  try {
    const parts = split(line.text);
    const def = INSTRUCTIONS.get(parts.keyword);
    if (def === undefined) {
      throw new Flaw('UnknownInstruction', `unknown instruction: ${parts.word}`, {
        place: { kind: 'keyword' },
        help: didYouMean(parts.keyword, KEYWORDS),
      });
    }
    const heredocs = takesHeredocs(parts) ? readHeredocs(line, lines) : [];
    const { keyword, word, text } = parts;
    const flags = parseFlags(parts.flags, def.flags);
    const { comments } = line;
    const command = def.parse(
      { keyword, word, flags, text, original: trim(line.text), heredocs },
      { escape, comments, keywords: KEYWORDS },
    );
    const range = heredocs.length === 0 ? line.range : { ...line.range, end: endOf(heredocs, lines) };
    return { keyword, word, command, range, line, heredocs, comments, skippedRules: skippedRules(comments) };
  } catch (error) {
    if (error instanceof Flaw) return diagnosticOf(error, rangeOf(error.place, line, escape));
    throw error;
  }
}

function split(line: string): Parts {
  const [word = '', rest = ''] = splitWords(trim(line), 2);
  const { words, rest: text } = cutFlags(rest);
  return { word, keyword: word.toUpperCase(), flags: words, text: trim(text) };
}

/** Whether here-documents may follow; for ONBUILD that is up to the instruction behind it. */
function takesHeredocs({ keyword, text }: Parts): boolean {
  if (keyword === 'ONBUILD') {
    const inner = split(text);
    return inner.keyword !== 'ONBUILD' && takesHeredocs(inner);
  }
  return INSTRUCTIONS.get(keyword)?.heredocs === 'allowed' && text.length > 0 && !isJsonForm(text);
}

function isJsonForm(text: string): boolean {
  try {
    return parseJsonForm(text) !== undefined;
  } catch (error) {
    if (error instanceof Flaw) return true;
    throw error;
  }
}

function readHeredocs(line: LogicalLine, lines: LogicalLines): readonly Heredoc[] {
  return heredocOperators(line.text).map((operator) => {
    const body = lines.readHeredoc(operator.name, operator.chomp);
    if (body !== undefined) return { ...operator, body };
    throw new Flaw('UnterminatedHeredoc', `unterminated heredoc: no line is just ${operator.name}`, {
      place: { kind: 'word', text: '<<' },
      help: 'the delimiter must stand alone on its line, without white space around it',
    });
  });
}

function endOf(heredocs: readonly Heredoc[], lines: LogicalLines): SourceRange['end'] {
  return { line: lines.here.start.line, column: (heredocs.at(-1)?.name.length ?? 0) + 1 };
}
