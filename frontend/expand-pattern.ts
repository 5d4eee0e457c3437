import { Flaw } from './flaw.ts';

/** A pattern of `${name#pattern}` and its like: what a character must be, or any one, or any number of any. */
type Token =
  { readonly kind: 'character'; readonly character: string } | { readonly kind: 'any' } | { readonly kind: 'star' };

/** The stretches between stars; each must be found in order. */
type Chunks = readonly (readonly Token[])[];

/** Bounds the steps that matching may take, for all expansions of one Dockerfile together. */
export interface Fuel {
  left: number;
}

/** Takes `amount` steps. @throws Flaw when there are none left. */
export function spend(fuel: Fuel, amount: number): void {
  fuel.left -= amount;
  if (fuel.left < 0) throw new Flaw('ExpansionTooLarge', 'expanding this Dockerfile takes too much work');
}

/** `value` without the prefix or suffix that `pattern` matches; unchanged where none does. */
export function trimMatch(
  value: string,
  pattern: string,
  o: { readonly end: 'prefix' | 'suffix'; readonly length: 'shortest' | 'longest'; readonly fuel: Fuel },
): string {
  const characters = Array.from(value);
  const tokens = parsePattern(pattern);
  if (o.end === 'prefix') {
    const end = matchFrom(characters, 0, { chunks: chunksOf(tokens), length: o.length, fuel: o.fuel });
    return end === undefined ? value : characters.slice(end).join('');
  }
  const chunks = chunksOf(tokens.toReversed());
  const end = matchFrom(characters.toReversed(), 0, { chunks, length: o.length, fuel: o.fuel });
  return end === undefined ? value : characters.slice(0, characters.length - end).join('');
}

/** What a match is replaced by: the same text each time, or what the match decides. */
export type Replacement = (match: string) => string;

/**
 * The text that `template` means in Go's `ReplaceAllString`: `$0` and `${0}` are the match, `$$` is a dollar sign, and any other
 * `$name` is empty, as a pattern has no groups.
 */
export function templateReplacement(template: string): Replacement {
  return (match) =>
    template.replaceAll(/\$(?:(\$)|(\w+)|\{(\w+)\})/g, (_whole, dollar?: string, name?: string, braced?: string) => {
      if (dollar !== undefined) return dollar;
      return /^0+$/.test(name ?? braced ?? '') ? match : '';
    });
}

/** `value` with what `pattern` matches replaced; each match as long as possible. */
export function replaceMatches(
  value: string,
  pattern: string,
  o: { readonly replacement: Replacement; readonly which: 'first' | 'all'; readonly fuel: Fuel },
): string {
  const characters = Array.from(value);
  const chunks = chunksOf(parsePattern(pattern));
  const result: string[] = [];
  let at = 0;
  let afterMatch = -1;
  while (at <= characters.length) {
    const end = matchFrom(characters, at, { chunks, length: 'longest', fuel: o.fuel });
    if (end === undefined || (end === at && at === afterMatch)) {
      const character = characters[at++];
      if (character !== undefined) result.push(character);
      continue;
    }
    const replacement = o.replacement(characters.slice(at, end).join(''));
    result.push(replacement);
    spend(o.fuel, replacement.length + 1);
    if (o.which === 'first') return result.join('') + characters.slice(end).join('');
    if (end === at) result.push(characters[at++] ?? '');
    else at = end;
    afterMatch = at;
  }
  return result.join('');
}

function parsePattern(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = Array.from(pattern);
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    if (character === '*') tokens.push({ kind: 'star' });
    else if (character === '?') tokens.push({ kind: 'any' });
    else if (character === '\\') tokens.push({ kind: 'character', character: escaped(characters[++i], pattern) });
    else tokens.push({ kind: 'character', character });
  }
  return tokens;
}

function escaped(character: string | undefined, pattern: string): string {
  if (character !== undefined && '*?\\/}'.includes(character)) return character;
  throw new Flaw(
    'InvalidSubstitution',
    `invalid pattern (${pattern}) in substitution: invalid escape '\\${character ?? ''}'`,
  );
}

function chunksOf(tokens: readonly Token[]): Chunks {
  const chunks: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'star') chunks.push([]);
    else chunks.at(-1)?.push(token);
  }
  return chunks;
}

/** Where a match that starts at `start` ends. Each chunk but the last is best taken where it occurs first, so no backtracking is needed. */
function matchFrom(
  text: readonly string[],
  start: number,
  o: { readonly chunks: Chunks; readonly length: 'shortest' | 'longest'; readonly fuel: Fuel },
): number | undefined {
  const [first = [], ...rest] = o.chunks;
  spend(o.fuel, 1);
  if (!matchesAt(text, start, { chunk: first, fuel: o.fuel })) return undefined;
  let at = start + first.length;
  for (const [i, chunk] of rest.entries()) {
    const last = i === rest.length - 1 && o.length === 'longest';
    const found = last
      ? lastOccurrence(text, at, { chunk, fuel: o.fuel })
      : firstOccurrence(text, at, { chunk, fuel: o.fuel });
    if (found === undefined) return undefined;
    at = found + chunk.length;
  }
  return at;
}

interface Search {
  readonly chunk: readonly Token[];
  readonly fuel: Fuel;
}

function firstOccurrence(text: readonly string[], from: number, search: Search): number | undefined {
  for (let at = from; at + search.chunk.length <= text.length; at++) if (matchesAt(text, at, search)) return at;
  return undefined;
}

function lastOccurrence(text: readonly string[], from: number, search: Search): number | undefined {
  for (let at = text.length - search.chunk.length; at >= from; at--) if (matchesAt(text, at, search)) return at;
  return undefined;
}

function matchesAt(text: readonly string[], at: number, { chunk, fuel }: Search): boolean {
  if (at + chunk.length > text.length) return false;
  const mismatch = chunk.findIndex((token, i) => token.kind === 'character' && token.character !== text[at + i]);
  spend(fuel, mismatch === -1 ? chunk.length + 1 : mismatch + 1);
  return mismatch === -1;
}
