import type { EscapeCharacter } from './elements.ts';
import { Flaw } from '../flaw.ts';
import { isSpace, splitWords, trimStart } from './white-space.ts';

/** A name and its value; both as written, quotes included. */
export interface NameValue {
  readonly name: string;
  readonly value: string;
  /** How the two were separated; white space is the old form. */
  readonly separator: '=' | ' ';
}

/**
 * The strings of a JSON array, or `undefined` where `text` is no JSON array: then it is meant as ordinary text.
 * @throws Flaw for an array of other things than strings.
 */
export function parseJsonForm(text: string): readonly string[] | undefined {
  const trimmed = trimStart(text);
  if (!trimmed.startsWith('[')) return undefined;
  const value = parseJson(trimmed);
  if (!Array.isArray(value)) return undefined;
  const items: readonly unknown[] = value;
  return items.map((item) => {
    if (typeof item === 'string') return item.toWellFormed();
    throw new Flaw('InvalidJsonForm', 'when using JSON array syntax, arrays must be comprised of strings only');
  });
}

/** The words of `text` from the JSON form, or else between white space, quotes being ordinary characters. Empty text has none. */
export function parseListForm(text: string): readonly string[] {
  return parseJsonForm(text) ?? (text === '' ? [] : splitWords(text));
}

/** The words of `text` between white space that is neither quoted nor escaped. Quotes and escapes stay. */
export function splitQuoted(text: string, escape: EscapeCharacter): readonly string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  let started = false;
  const end = (): void => {
    if (started || word !== '') words.push(word);
    word = '';
    started = false;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote === '' && isSpace(character)) {
      end();
    } else if (character === escape && quote !== "'") {
      // An escape character at the very end stands for nothing.
      if (at + 1 < text.length) word += character + text.charAt(++at);
    } else {
      if (character === quote) quote = '';
      else if (quote === '' && (character === '"' || character === "'")) {
        quote = character;
        started = true;
      }
      word += character;
    }
  }
  end();
  return words;
}

/** The pairs of ENV and LABEL; none where `text` is empty. @throws Flaw for a word without `=`, a name without value. */
export function parseNameValues(
  text: string,
  o: { readonly keyword: string; readonly escape: EscapeCharacter },
): readonly NameValue[] {
  const words = splitQuoted(text, o.escape);
  const [first] = words;
  if (first === undefined) return [];
  if (!first.includes('=')) {
    const [name = '', value] = splitWords(text, 2);
    if (value === undefined)
      throw new Flaw('MissingArgument', `${o.keyword} must have two arguments`, {
        help: `write ${o.keyword} ${name}=VALUE`,
      });
    return [{ name, value, separator: ' ' }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === -1) {
      throw new Flaw(
        'MissingEquals',
        `syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
        {
          place: { kind: 'word', text: word },
          help: 'quote a value that holds spaces',
        },
      );
    }
    return { name: word.slice(0, equals), value: word.slice(equals + 1), separator: '=' };
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
