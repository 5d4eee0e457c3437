import { Flaw } from './flaw.ts';
import type { InstructionText, LowerContext, ParseContext, StageState } from './instruction.ts';
import { MESSAGES } from './lint/rules.ts';
import { expandWord } from './stage-expand.ts';
import { parseNameValues, type NameValue } from './syntax/words.ts';

/** The pairs of ENV or LABEL. */
export interface NameValuesNode {
  readonly pairs: readonly NameValue[];
}

/** What stands behind ENV or LABEL. @throws Flaw */
export function parsePairs({ text, keyword }: InstructionText, context: ParseContext): NameValuesNode {
  const pairs = parseNameValues(text, { keyword, escape: context.escape });
  if (pairs.length === 0) throw new Flaw('MissingArgument', `${keyword} requires at least one argument`);
  const blank = pairs.findIndex(({ name }) => name === '');
  if (blank !== -1) {
    throw new Flaw('BlankName', `${keyword} names can not be blank`, { place: { kind: 'argument', index: blank } });
  }
  return { pairs };
}

/** The pairs with all variables replaced by their values before this instruction; the old form is reported. @throws Flaw */
export function expandPairs(node: NameValuesNode, state: StageState, context: LowerContext): readonly NameValue[] {
  const { word } = context.instruction;
  return node.pairs.map((pair) => {
    if (pair.separator === ' ') {
      context.warn('LegacyKeyValueFormat', MESSAGES.LegacyKeyValueFormat(word), {
        ...(context.origin === 'file' && {
          edits: [{ range: context.instruction.range, text: modernForm(word, pair) }],
        }),
      });
    }
    return { ...pair, name: expandWord(pair.name, state, context), value: expandWord(pair.value, state, context) };
  });
}

function modernForm(word: string, { name, value }: NameValue): string {
  const plain = /^[^\s'"\\`]*$/.test(value) || /^"[^"]*"$|^'[^']*'$/.test(value);
  return `${word} ${name}=${plain ? value : `"${value.replaceAll(/(["\\])/g, '\\$1')}"`}`;
}
