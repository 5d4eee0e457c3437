import type { EscapeCharacter } from './syntax/elements.ts';
import { replaceMatches, spend, templateReplacement, trimMatch, type Fuel } from './expand-pattern.ts';
import { Flaw } from './flaw.ts';
import { isSpace } from './syntax/white-space.ts';

/** How text is read beside its variables. */
export interface ExpandOptions {
  readonly escape: EscapeCharacter;
  /** `keep`: quotes group, but stay in the result; `ordinary`: they are characters like any other. */
  readonly quotes?: 'remove' | 'keep' | 'ordinary';
  readonly escapes?: 'remove' | 'keep';
  /** `keep`: an unset variable stays as it was written. */
  readonly unset?: 'empty' | 'keep';
  /** `join`: white space after `<<` belongs to the word. */
  readonly heredocs?: 'split' | 'join';
  /** `skip`: nobody wants the words. */
  readonly words?: 'split' | 'skip';
  readonly fuel?: Fuel;
  /** `buildkit`: the replacement of `${name//pattern/replacement}` is a template of Go's regular expressions, and not text. */
  readonly compat?: 'buildkit' | undefined;
}

/** The value of a variable, or `undefined` where it is unset. */
export type LookupVariable = (name: string) => string | undefined;

/** What became of a text. */
export interface Expansion {
  readonly text: string;
  /** `text` split at white space that was neither quoted nor escaped; values of variables are split as well. */
  readonly words: readonly string[];
  /** The variables used that are set. */
  readonly matched: ReadonlySet<string>;
  readonly unmatched: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();
const MAX_DEPTH = 64;
/** Enough for any real Dockerfile; an answer to `ENV A=$A$A` thirty times over. */
const MAX_WORK = 64 * 1024 * 1024;
const MAX_RESULT = 2 * 1024 * 1024;

/** Work for all expansions of one Dockerfile. */
export function newFuel(): Fuel {
  return { left: MAX_WORK };
}

/**
 * `source` with its variables replaced, quotes and escapes taken away (Dockerfile reference, “Environment replacement”).
 * @throws Flaw InvalidSubstitution for a broken `${…}`, an unbalanced quote, or `${name?message}` of an unset variable.
 */
export function expand(source: string, lookup: LookupVariable, options: ExpandOptions): Expansion {
  if (!/[$'"\\`<\s\u0085]/.test(source)) {
    return { text: source, words: source === '' ? [] : [source], matched: NONE, unmatched: NONE };
  }
  const expander = new Expander(source, lookup, options);
  try {
    return expander.run();
  } catch (error) {
    if (!(error instanceof Flaw)) throw error;
    const shown = source.length > 200 ? `${source.slice(0, 200)}…` : source;
    throw new Flaw(error.code, `failed to process ${JSON.stringify(shown)}: ${error.message}`, {
      place: error.place.kind === 'instruction' ? { kind: 'word', text: source } : error.place,
      help: error.help,
    });
  }
}

/** Collects the words of a text beside the text itself. */
class Words {
  readonly #done: string[] = [];
  #word = '';

  /** Adds a character that separates words if it is white space. */
  add(character: string): void {
    if (!isSpace(character)) this.#word += character;
    else this.#end();
  }

  /** Adds the value of a variable: its white space separates. */
  addSplit(text: string): void {
    for (const character of text) this.add(character);
  }

  /** Adds what was quoted or escaped. */
  addWhole(text: string): void {
    this.#word += text;
  }

  /** All words; empty ones do not count. */
  finish(): readonly string[] {
    this.#end();
    return this.#done;
  }

  #end(): void {
    if (this.#word !== '') this.#done.push(this.#word);
    this.#word = '';
  }
}

class Expander {
  readonly #source: string;
  readonly #lookup: LookupVariable;
  readonly #options: Required<ExpandOptions>;
  readonly #matched = new Set<string>();
  readonly #unmatched = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(source: string, lookup: LookupVariable, options: ExpandOptions) {
    this.#source = source;
    this.#lookup = lookup;
    this.#options = {
      quotes: 'remove',
      escapes: 'remove',
      unset: 'empty',
      heredocs: 'split',
      words: 'split',
      fuel: newFuel(),
      compat: undefined,
      ...options,
    };
  }

  run(): Expansion {
    const { text, words } = this.#upTo(undefined, this.#options.escapes);
    return { text, words: words.finish(), matched: this.#matched, unmatched: this.#unmatched };
  }

  /** Everything up to `stop`, which is consumed; to the end of the source where `stop` is absent. */
  #upTo(stop: '}' | '/' | undefined, escapes: 'remove' | 'keep'): { text: string; words: Words } {
    if (++this.#depth > MAX_DEPTH) throw new Flaw('InvalidSubstitution', 'substitutions are nested too deeply');
    const parts: string[] = [];
    const words = new Words();
    let length = 0;
    while (this.#at < this.#source.length && this.#peek() !== stop) {
      const part = this.#part(escapes, words);
      length += part.length;
      spend(this.#options.fuel, part.length + 1);
      if (length > MAX_RESULT)
        throw new Flaw('ExpansionTooLarge', `the expanded text is longer than ${MAX_RESULT} characters`);
      parts.push(part);
    }
    if (stop !== undefined && this.#next() === '') {
      throw new Flaw(
        'InvalidSubstitution',
        stop === '}' ? `syntax error: missing '}'` : `syntax error: missing '/' in \${}`,
      );
    }
    this.#depth--;
    return { text: parts.join(''), words };
  }

  #part(escapes: 'remove' | 'keep', words: Words): string {
    const character = this.#peek();
    if (character === '$') {
      const value = this.#dollar(escapes);
      if (this.#options.words === 'split') words.addSplit(value);
      return value;
    }
    const whole = this.#whole(character, escapes);
    if (whole === undefined) {
      words.add(character);
      return this.#next();
    }
    words.addWhole(whole);
    return whole;
  }

  /** What is taken as a whole, without a look at its white space; `undefined` for an ordinary character. */
  #whole(character: string, escapes: 'remove' | 'keep'): string | undefined {
    if (this.#options.quotes !== 'ordinary') {
      if (character === "'") return this.#singleQuoted();
      if (character === '"') return this.#doubleQuoted(escapes);
    }
    if (character === '<' && this.#options.heredocs === 'join') return this.#heredocOperator();
    if (character !== this.#options.escape) return undefined;
    const escape = this.#next();
    return (escapes === 'keep' ? escape : '') + this.#next();
  }

  #singleQuoted(): string {
    const end = this.#source.indexOf("'", this.#at + 1);
    if (end === -1)
      throw new Flaw('UnbalancedQuote', 'unexpected end of statement while looking for matching single-quote');
    const quoted = this.#source.slice(this.#at, end + 1);
    this.#at = end + 1;
    return this.#options.quotes === 'keep' ? quoted : quoted.slice(1, -1);
  }

  #doubleQuoted(escapes: 'remove' | 'keep'): string {
    const quote = this.#options.quotes === 'keep' ? '"' : '';
    const parts: string[] = [];
    this.#next();
    for (let character = this.#peek(); character !== '"'; character = this.#peek()) {
      if (character === '') {
        throw new Flaw('UnbalancedQuote', 'unexpected end of statement while looking for matching double-quote');
      }
      if (character === '$') parts.push(this.#dollar(escapes));
      else parts.push(character === this.#options.escape ? this.#escapedInQuotes(escapes) : this.#next());
    }
    this.#next();
    return quote + parts.join('') + quote;
  }

  /** Between double quotes the escape character acts only before a quote, a dollar and itself. */
  #escapedInQuotes(escapes: 'remove' | 'keep'): string {
    const escape = this.#next();
    const following = this.#peek();
    if (following === '') return '';
    if (following !== '"' && following !== '$' && following !== escape) return escape;
    return (escapes === 'keep' ? escape : '') + this.#next();
  }

  #heredocOperator(): string {
    const start = this.#at;
    this.#next();
    if (this.#peek() === '<') {
      this.#next();
      while (this.#peek() !== '' && isSpace(this.#peek())) this.#next();
    }
    return this.#source.slice(start, this.#at);
  }

  #dollar(escapes: 'remove' | 'keep'): string {
    this.#next();
    if (this.#peek() === '{') {
      this.#next();
      return this.#substitution(escapes);
    }
    const name = this.#name();
    if (name === '') return '$';
    return this.#value(name) ?? (this.#options.unset === 'keep' ? `$${name}` : '');
  }

  /** What follows `${`. */
  #substitution(escapes: 'remove' | 'keep'): string {
    const first = this.#peek();
    if (first === '') throw missingBrace();
    if ('{}:'.includes(first)) throw new Flaw('InvalidSubstitution', 'syntax error: bad substitution');
    const name = this.#name();
    const operator = this.#next();
    switch (operator) {
      case '':
        throw missingBrace();
      case '}':
        return this.#value(name) ?? (this.#options.unset === 'keep' ? `\${${name}}` : '');
      case '/':
        return this.#replacement(name);
      case ':':
        return this.#modified({ name, modifier: this.#next(), colon: ':', escapes });
      default:
        return this.#modified({ name, modifier: operator, colon: '', escapes });
    }
  }

  #modified(o: { name: string; modifier: string; colon: ':' | ''; escapes: 'remove' | 'keep' }): string {
    const { name, modifier, colon } = o;
    if (modifier === '' || !'+-?#%'.includes(modifier)) {
      throw new Flaw('InvalidSubstitution', `unsupported modifier (${colon}${modifier}) in substitution`);
    }
    const trims = modifier === '#' || modifier === '%';
    const { text: word } = this.#upTo('}', trims ? 'keep' : o.escapes);
    const value = this.#value(name);
    if (value === undefined && this.#options.unset === 'keep') return `\${${name}${colon}${modifier}${word}}`;
    const present = value !== undefined && (colon === '' || value !== '');
    if (modifier === '-') return present ? value : word;
    if (modifier === '+') return present ? word : '';
    if (modifier === '?') return present ? value : refuse(name, word, value === undefined ? 'unset' : 'empty');
    const doubled = word.startsWith(modifier);
    return trimMatch(value ?? '', doubled ? word.slice(1) : word, {
      end: modifier === '#' ? 'prefix' : 'suffix',
      length: doubled ? 'longest' : 'shortest',
      fuel: this.#options.fuel,
    });
  }

  #replacement(name: string): string {
    const which = this.#peek() === '/' ? 'all' : 'first';
    if (which === 'all') this.#next();
    const { text: pattern } = this.#upTo('/', 'keep');
    const { text: replacement } = this.#upTo('}', 'keep');
    const value = this.#value(name);
    if (value === undefined && this.#options.unset === 'keep') {
      return `\${${name}${which === 'all' ? '//' : '/'}${pattern}/${replacement}}`;
    }
    const text = replacement.replaceAll(/\\([/}\\])/g, '$1');
    const isTemplate = which === 'all' && this.#options.compat === 'buildkit';
    return replaceMatches(value ?? '', pattern, {
      replacement: isTemplate ? templateReplacement(text) : () => text,
      which,
      fuel: this.#options.fuel,
    });
  }

  /** A name, a positional parameter's digits, or one special parameter's character; empty where none of these follows. */
  #name(): string {
    const rest = this.#source.slice(this.#at, this.#at + 256);
    const digits = /^\p{Nd}+|^[@*#?$!-]/u.exec(rest)?.[0];
    const name = digits ?? this.#longName();
    this.#at += name.length;
    return name;
  }

  #longName(): string {
    const pattern = /[\p{L}\p{Nd}_]*/uy;
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0] ?? '';
  }

  #value(name: string): string | undefined {
    const value = this.#lookup(name);
    (value === undefined ? this.#unmatched : this.#matched).add(name);
    return value;
  }

  #peek(): string {
    return this.#source.charAt(this.#at);
  }

  #next(): string {
    return this.#source.charAt(this.#at++);
  }
}

function refuse(name: string, word: string, state: 'unset' | 'empty'): never {
  throw new Flaw('VariableRequired', `${name}: ${word === '' ? `is not allowed to be ${state}` : word}`, {
    place: { kind: 'variable', name },
  });
}

function missingBrace(): Flaw {
  return new Flaw('InvalidSubstitution', `syntax error: missing '}'`);
}
