import type { Heredoc } from './elements.ts';
import { expand, type ExpandOptions } from '../expand.ts';
import { Flaw } from '../flaw.ts';
import { trimStart } from './white-space.ts';

/** A here-document as its operator announces it. */
export type HeredocOperator = Omit<Heredoc, 'body'>;

const LEXING: ExpandOptions = { escape: '\\', quotes: 'keep', escapes: 'keep', unset: 'keep', heredocs: 'join' };
const nothing = (): undefined => undefined;

/** The here-documents that a line opens, in the order in which their bodies follow. */
export function heredocOperators(text: string): readonly HeredocOperator[] {
  if (!text.includes('<<')) return [];
  return heredocWords(text).flatMap((word) => parseHeredocOperator(word) ?? []);
}

/** The here-document that one word opens, or `undefined` for any other word. */
export function parseHeredocOperator(word: string): HeredocOperator | undefined {
  const match = /^\d*<<(-?)(.*)$/s.exec(word);
  const delimiter = trimStart(match?.[2] ?? '');
  if (match === null || delimiter === '' || delimiter.includes('<')) return undefined;
  const [name, ...more] = expandDelimiter(delimiter, 'remove');
  const [raw = ''] = expandDelimiter(delimiter, 'keep');
  if (name === undefined || more.length > 0) return undefined;
  return {
    name,
    expand: countQuotes(name) === countQuotes(raw) ? 'yes' : 'no',
    chomp: match[1] === '-' ? 'tabs' : 'none',
  };
}

/** `body` as the content it stands for: without leading tabs where the operator was `<<-`. */
export function heredocContent({ body, chomp }: Heredoc): Uint8Array {
  if (chomp === 'none') return body;
  // One byte is one character here, so that bytes which are no UTF-8 stay as they are.
  return Buffer.from(Buffer.from(body).toString('latin1').replaceAll(/^\t+/gm, ''), 'latin1');
}

/** `heredocContent` as text. */
export function heredocText(heredoc: Heredoc): string {
  return Buffer.from(heredocContent(heredoc)).toString('utf8');
}

/** A line with an unbalanced quote is a matter of the shell that reads it: it opens nothing. */
function heredocWords(text: string): readonly string[] {
  try {
    return expand(text, nothing, LEXING).words;
  } catch (error) {
    if (error instanceof Flaw) return [];
    throw error;
  }
}

function expandDelimiter(delimiter: string, quotes: 'remove' | 'keep'): readonly string[] {
  return expand(delimiter, nothing, { escape: '\\', quotes, unset: 'keep' }).words;
}

function countQuotes(text: string): number {
  return text.replaceAll(/[^'"]/g, '').length;
}
