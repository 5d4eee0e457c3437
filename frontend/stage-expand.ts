import type { LowerContext, StageState } from './instruction.ts';
import { expand, type ExpandOptions, type Expansion } from './expand.ts';
import { MESSAGES } from './lint/rules.ts';

/** `word` with the variables of the stage replaced; unknown ones are reported (UndefinedVar). @throws Flaw */
export function expandWord(word: string, state: StageState, context: LowerContext): string {
  return expandInStage(word, { state, context, options: { escape: context.escape, words: 'skip' } }).text;
}

/** The words that `word` becomes: values of variables are split. @throws Flaw */
export function expandWords(word: string, state: StageState, context: LowerContext): readonly string[] {
  return expandInStage(word, { state, context, options: { escape: context.escape } }).words;
}

/** A here-document's body: quotes are ordinary characters, and a backslash escapes whatever the escape directive says. @throws Flaw */
export function expandBody(body: string, state: StageState, context: LowerContext): string {
  return expandInStage(body, { state, context, options: { escape: '\\', quotes: 'ordinary' } }).text;
}

interface InStage {
  readonly state: StageState;
  readonly context: LowerContext;
  readonly options: ExpandOptions;
}

function expandInStage(source: string, { state, context, options }: InStage): Expansion {
  const { fuel, request } = context;
  const { compat } = request;
  const expansion = expand(source, (name) => state.scope.lookup(name), { ...options, fuel, compat });
  for (const name of expansion.unmatched) {
    if (state.args.has(name)) continue;
    const near = context.nearest(
      name,
      Array.from(state.scope.entries(), ([known]) => known),
    );
    context.warn('UndefinedVar', MESSAGES.UndefinedVar(name, near), {
      place: { kind: 'variable', name },
      help: near === undefined ? 'declare it with ARG or ENV before it is used' : `did you mean $${near}?`,
    });
  }
  return expansion;
}
