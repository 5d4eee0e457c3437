/**
 * One pattern, compiled. Its work on a name is at most the product of both lengths: a set of states moves over the name, nothing backtracks,
 * and no RegExp is made from what a stranger wrote.
 */
export interface GlobPattern {
  /** Whether the whole of `name` matches. */
  readonly matches: (name: string) => boolean;
  /** Whether some path below `directory` could match; `false` is certain. */
  readonly couldMatchBelow: (directory: string) => boolean;
}

/** `go`: filepath.Match, where `**` is `*`. `ignore`: moby's patternmatcher, where `**` crosses slashes. */
export type GlobDialect = 'go' | 'ignore';

type Token =
  | { readonly kind: 'literal'; readonly code: number }
  /** `?` */
  | { readonly kind: 'any' }
  | {
      readonly kind: 'class';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [low: number, high: number])[];
    }
  /** `*` */
  | { readonly kind: 'star' }
  /** `**` at the end: anything. */
  | { readonly kind: 'deep' }
  /** `**` before more: nothing, or anything up to a slash. It stands before `deep-inside`, which eats up to the slash. */
  | { readonly kind: 'deep-entry' }
  | { readonly kind: 'deep-inside' };

const SLASH = 0x2f;
/** As long as a path can be. Longer ones would only cost time. */
const MAX_LENGTH = 4096;

/** The pattern that `text` spells. @throws SyntaxError saying what breaks the grammar. */
export function parseGlob(text: string, dialect: GlobDialect): GlobPattern {
  if (text.length > MAX_LENGTH) throw new SyntaxError(`pattern longer than ${MAX_LENGTH} characters`);
  return compile(new PatternParser(text, dialect).parse());
}

function compile(tokens: readonly Token[]): GlobPattern {
  const prefix = literalText(tokens, 0);
  if (prefix.count === tokens.length) {
    return {
      matches: (name) => name === prefix.text,
      couldMatchBelow: (directory) => prefix.text.startsWith(`${directory}/`),
    };
  }
  const required = longestLiteral(tokens);
  const suffix = literalText(tokens, tokens.findLastIndex((token) => token.kind !== 'literal') + 1).text;
  const machine = new StateSet(tokens);
  const wholeMatches = isAnywhere(tokens)
    ? inLastComponent(compile(tokens.slice(2)))
    : (name: string) => machine.start().feed(name).accepted;
  return {
    // The literal parts rule out most names, at a fraction of the cost.
    matches: (name) =>
      name.endsWith(suffix) && name.startsWith(prefix.text) && name.includes(required) && wholeMatches(name),
    couldMatchBelow: (directory) => machine.start().feed(`${directory}/`).alive,
  };
}

/** Whether the pattern is a double star and one component, and thus matches by the last component alone. */
function isAnywhere(tokens: readonly Token[]): boolean {
  return tokens[0]?.kind === 'deep-entry' && tokens.slice(2).every(staysInComponent);
}

function staysInComponent(token: Token): boolean {
  if (token.kind === 'class') return !token.negated && token.ranges.every(([low, high]) => high < SLASH || low > SLASH);
  return token.kind === 'star' || token.kind === 'any' || (token.kind === 'literal' && token.code !== SLASH);
}

function inLastComponent({ matches }: GlobPattern): (name: string) => boolean {
  return (name) => matches(name.slice(name.lastIndexOf('/') + 1));
}

function literalText(tokens: readonly Token[], from: number): { text: string; count: number } {
  let text = '';
  let at = from;
  for (let token = tokens[at]; token?.kind === 'literal'; token = tokens[++at])
    text += String.fromCodePoint(token.code);
  return { text, count: at - from };
}

function longestLiteral(tokens: readonly Token[]): string {
  let longest = '';
  for (let at = 0; at < tokens.length; at++) {
    const { text, count } = literalText(tokens, at);
    if (text.length > longest.length) longest = text;
    at += count;
  }
  return longest;
}

/** The positions in a pattern that the name read so far can have led to. */
class StateSet {
  readonly #tokens: readonly Token[];
  /** In which generation a position was added last, so that none is added twice. */
  readonly #added: Uint32Array;
  #generation = 0;
  #states: number[] = [];
  #next: number[] = [];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#added = new Uint32Array(tokens.length + 1);
  }

  start(): this {
    this.#states.length = 0;
    this.#generation++;
    this.#add(this.#states, 0);
    return this;
  }

  feed(name: string): this {
    for (let at = 0; at < name.length && this.#states.length > 0;) {
      const code = name.codePointAt(at) as number;
      at += code > 0xffff ? 2 : 1;
      this.#step(code);
    }
    return this;
  }

  get accepted(): boolean {
    return this.#states.includes(this.#tokens.length);
  }

  /** Whether more could be read. */
  get alive(): boolean {
    return this.#states.some((state) => state < this.#tokens.length);
  }

  #step(code: number): void {
    const states = this.#states;
    const next = this.#next;
    next.length = 0;
    this.#generation++;
    for (const state of states) this.#move(next, state, code);
    this.#next = states;
    this.#states = next;
  }

  #move(next: number[], state: number, code: number): void {
    const token = this.#tokens[state];
    switch (token?.kind) {
      case 'literal':
        if (token.code === code) this.#add(next, state + 1);
        break;
      case 'any':
        if (code !== SLASH) this.#add(next, state + 1);
        break;
      case 'class':
        if (token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated)
          this.#add(next, state + 1);
        break;
      case 'star':
        if (code !== SLASH) this.#add(next, state);
        break;
      case 'deep':
        this.#add(next, state);
        break;
      case 'deep-inside':
        this.#add(next, state);
        if (code === SLASH) this.#add(next, state + 1);
        break;
      case 'deep-entry':
      case undefined:
    }
  }

  /** Adds `state` and all that can be reached from it without reading. */
  #add(states: number[], state: number): void {
    if (this.#added[state] === this.#generation) return;
    this.#added[state] = this.#generation;
    const kind = this.#tokens[state]?.kind;
    if (kind !== 'deep-entry') states.push(state);
    if (kind === 'star' || kind === 'deep' || kind === 'deep-entry') this.#add(states, state + 1);
    if (kind === 'deep-entry') this.#add(states, state + 2);
  }
}

const UNTERMINATED = 'unterminated character class';

/** Reads a pattern by the grammar of Go's filepath.Match. */
class PatternParser {
  readonly #characters: readonly string[];
  readonly #dialect: GlobDialect;
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(text: string, dialect: GlobDialect) {
    this.#characters = Array.from(text);
    this.#dialect = dialect;
  }

  parse(): readonly Token[] {
    while (this.#at < this.#characters.length) this.#readToken();
    return this.#tokens;
  }

  #readToken(): void {
    const character = this.#take();
    if (character === '*') this.#readStar();
    else if (character === '?') this.#tokens.push({ kind: 'any' });
    else if (character === '[') this.#readClass();
    else this.#tokens.push(literal(character === '\\' ? this.#takeEscaped('trailing backslash') : character));
  }

  #readStar(): void {
    const isDeep = this.#dialect === 'ignore' && this.#peek() === '*';
    if (isDeep) this.#readDeep();
    else if (this.#tokens.at(-1)?.kind !== 'star') this.#tokens.push({ kind: 'star' });
  }

  #readDeep(): void {
    const first = this.#tokens.length === 0;
    this.#take();
    const slash = this.#peek() === '/';
    if (slash) this.#take();
    if (this.#peek() === undefined || (first && !slash && this.#restIsLiteral())) this.#tokens.push({ kind: 'deep' });
    else if (this.#tokens.at(-1)?.kind !== 'deep-inside')
      this.#tokens.push({ kind: 'deep-entry' }, { kind: 'deep-inside' });
  }

  /** moby takes `**.log` for "ends with .log", but `**.l?g` for a name that begins with the dot. */
  #restIsLiteral(): boolean {
    return !this.#characters.slice(this.#at).some((character) => '*?[]\\'.includes(character));
  }

  #readClass(): void {
    const negated = this.#peek() === '^';
    if (negated) this.#take();
    const ranges: (readonly [number, number])[] = [];
    while (this.#peek() !== ']' || ranges.length === 0) {
      const low = this.#takeClassCharacter();
      const isRange = this.#peek() === '-';
      if (isRange) this.#take();
      ranges.push([low, isRange ? this.#takeClassCharacter() : low]);
    }
    this.#take();
    this.#tokens.push({ kind: 'class', negated, ranges });
  }

  #takeClassCharacter(): number {
    const character = this.#peek();
    if (character === undefined) throw new SyntaxError(UNTERMINATED);
    if (character === '-' || character === ']') throw new SyntaxError(`misplaced ${character} in a character class`);
    this.#take();
    const code = literal(character === '\\' ? this.#takeEscaped(UNTERMINATED) : character).code;
    if (this.#peek() === undefined) throw new SyntaxError(UNTERMINATED);
    return code;
  }

  #takeEscaped(problem: string): string {
    if (this.#peek() === undefined) throw new SyntaxError(problem);
    return this.#take();
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(): string {
    return this.#characters[this.#at++] as string;
  }
}

function literal(character: string): { kind: 'literal'; code: number } {
  return { kind: 'literal', code: character.codePointAt(0) as number };
}
