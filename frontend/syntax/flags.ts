import { Flaw } from '../flaw.ts';
import { didYouMean } from '../../src/core/nearest-name.ts';
import { isSpace } from './white-space.ts';

/** How often a flag may stand and what it takes: `bool` nothing or true/false, `string` a value, `strings` a value each time. */
export type FlagKind = 'bool' | 'string' | 'strings';

/** The flags that an instruction knows, by name. */
export type FlagTable = Readonly<Record<string, FlagKind>>;

/** The flags that were given; values as written, without quotes and escapes. */
export interface Flags {
  /** Whether the flag was given at all. */
  has(name: string): boolean;
  /** A string's value; `undefined` where it was not given. */
  value(name: string): string | undefined;
  /** All values of a repeatable flag, in order. */
  values(name: string): readonly string[];
  /** `undefined` where it was not given. */
  bool(name: string): 'yes' | 'no' | undefined;
}

/** The words `--…` at the start of `text`, and the rest. A bare `--` ends them. Quotes and backslashes act as in a shell. */
export function cutFlags(text: string): { readonly words: readonly string[]; readonly rest: string } {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text.charAt(at))) at++;
    if (!text.startsWith('--', at)) return { words, rest: text.slice(at) };
    const { word, end } = readWord(text, at);
    if (word === '--') return { words, rest: text.slice(end) };
    words.push(word);
    at = end;
  }
}

/** The meaning of `words`. @throws Flaw for a flag that is unknown, repeated, without value, or not a boolean. */
export function parseFlags(words: readonly string[], table: FlagTable): Flags {
  const given = new Map<string, string[]>();
  for (const word of words) {
    const { name, value } = splitFlag(word);
    const kind = Object.hasOwn(table, name) ? table[name] : undefined;
    if (kind === undefined) throw unknownFlag(name, table);
    const before = given.get(name);
    if (before !== undefined && kind !== 'strings') {
      throw new Flaw('DuplicateFlag', `duplicate flag specified: ${name}`, { place: { kind: 'flag', name } });
    }
    given.set(name, [...(before ?? []), checkValue({ name, value, kind })]);
  }
  return {
    has: (name) => given.has(name),
    value: (name) => given.get(name)?.at(-1),
    values: (name) => given.get(name) ?? [],
    bool: (name) => (given.has(name) ? (given.get(name)?.at(-1) === 'true' ? 'yes' : 'no') : undefined),
  };
}

function readWord(text: string, start: number): { word: string; end: number } {
  let word = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote === '' && isSpace(character)) break;
    if (character === quote) quote = '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === '\\') word += text.charAt(++at);
    else word += character;
  }
  return { word, end: Math.min(at, text.length) };
}

function splitFlag(word: string): { name: string; value: string | undefined } {
  const equals = word.indexOf('=');
  return equals === -1
    ? { name: word.slice(2), value: undefined }
    : { name: word.slice(2, equals), value: word.slice(equals + 1) };
}

function checkValue({ name, value, kind }: { name: string; value: string | undefined; kind: FlagKind }): string {
  const place = { kind: 'flag', name } as const;
  if (kind !== 'bool') {
    if (value === undefined)
      throw new Flaw('MissingFlagValue', `missing a value on flag: ${name}`, { place, help: `write --${name}=VALUE` });
    return value;
  }
  if (value === undefined) return 'true';
  if (value === '') throw new Flaw('MissingFlagValue', `missing a value on flag: ${name}`, { place });
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === 'false') return lower;
  throw new Flaw('InvalidFlagValue', `expecting boolean value for flag ${name}, not: ${value}`, {
    place,
    help: didYouMean(value, ['true', 'false']) ?? `write --${name}, --${name}=true or --${name}=false`,
  });
}

function unknownFlag(name: string, table: FlagTable): Flaw {
  const known = Object.keys(table).map((flag) => `--${flag}`);
  const help =
    didYouMean(`--${name}`, known) ?? (known.length === 0 ? undefined : `the flags are: ${known.join(', ')}`);
  return new Flaw('UnknownFlag', `unknown flag: --${name}`, { place: { kind: 'flag', name }, help });
}
