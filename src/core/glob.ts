import { posix } from 'node:path';
import { FormatError } from '../oci/format-error.ts';
import { type GlobDialect, type GlobPattern, parseGlob } from './glob-pattern.ts';

/** Whether all of `name` matches `pattern` as in Go's filepath.Match: `*` and `?` stop at slashes. A malformed pattern matches nothing. */
export function matchGlob(pattern: string, name: string): boolean {
  const parsed = tryParse(pattern, 'go');
  return typeof parsed !== 'string' && parsed.matches(name);
}

/** What is wrong with `pattern`, or `undefined` if nothing is. */
export function globError(pattern: string): string | undefined {
  const parsed = tryParse(pattern, 'go');
  return typeof parsed === 'string' ? parsed : undefined;
}

/** The pattern of an ignore file that decided about a path. */
export interface IgnoreRule {
  /** As in `IgnoreMatcher.patterns`. */
  readonly pattern: string;
  /** Counted from 1: in the file, or in the list that the matcher was made from. */
  readonly line: number;
}

interface CompiledRule extends IgnoreRule {
  readonly effect: 'exclude' | 'include';
  readonly glob: GlobPattern;
}

const BYTE_ORDER_MARK = '\uFEFF';
/** More directories than any path is deep; the decisions about others are made again when they are needed. */
const MAX_REMEMBERED = 16_384;
const UNDECIDED = -1;

/**
 * Decides which paths an ignore file excludes, with the semantics of moby's patternmatcher: a pattern also covers what is below its matches,
 * `!` takes back what earlier patterns excluded, the last pattern that covers a path decides. Where moby's translation into regular
 * expressions deviates from filepath.Match inside brackets and after backslashes, filepath.Match holds.
 * Decisions about directories are remembered: ask in the order of a tree walk.
 */
export class IgnoreMatcher {
  /** The patterns in effect, cleaned, in order; a new matcher made from them decides the same. */
  readonly patterns: readonly string[];
  /** The line of each pattern: where an ignore file has it, else its place in the list. */
  readonly lines: readonly number[];
  readonly #rules: readonly CompiledRule[];
  readonly #directories = new Map<string, number>();

  /** @throws FormatError naming the pattern that is malformed; its line comes from `lines`, else from its place in the list. */
  constructor(patterns: readonly string[], lines: readonly number[] = patterns.map((_, i) => i + 1)) {
    this.#rules = patterns.flatMap((pattern, i) => compileRule(pattern.trim(), lines[i] ?? i + 1));
    this.patterns = this.#rules.map(({ pattern }) => pattern);
    this.lines = this.#rules.map(({ line }) => line);
  }

  /**
   * The matcher for an ignore file: one pattern a line, `#` in the first column begins a comment, a leading slash means nothing.
   * @throws FormatError naming the line of a malformed pattern.
   */
  static parse(text: string): IgnoreMatcher {
    const numbered = text
      .replace(BYTE_ORDER_MARK, '')
      .split('\n')
      .map((content, i) => ({ content, line: i + 1 }))
      .filter(({ content }) => !content.startsWith('#') && content.trim() !== '');
    return new IgnoreMatcher(
      numbered.map(({ content }) => withoutLeadingSlash(content.trim())),
      numbered.map(({ line }) => line),
    );
  }

  /** Whether `path`, relative to the context and with slashes, is excluded. The root (`.` or nothing) never is. */
  matches(path: string): boolean {
    return this.#rules[this.#decide(path)]?.effect === 'exclude';
  }

  /** The rule that decided about `path`, be it to exclude it or to take it back in; `undefined` where no rule covers it. */
  explain(path: string): IgnoreRule | undefined {
    const rule = this.#rules[this.#decide(path)];
    return rule && { pattern: rule.pattern, line: rule.line };
  }

  /** Whether `directory` and all that could ever be below it are excluded, so that a walk need not enter it. */
  excludesTree(directory: string): boolean {
    const decided = this.#decideDirectory(directory);
    if (this.#rules[decided]?.effect !== 'exclude') return false;
    return !this.#rules.some(
      ({ effect, glob }, i) => i > decided && effect === 'include' && glob.couldMatchBelow(directory),
    );
  }

  /** The index of the last rule that matches `path` or a directory above it. */
  #decide(path: string): number {
    if (path === '' || path === '.') return UNDECIDED;
    const slash = path.lastIndexOf('/');
    const inherited = slash > 0 ? this.#decideDirectory(path.slice(0, slash)) : UNDECIDED;
    for (let i = this.#rules.length - 1; i > inherited; i--) {
      if (this.#rules[i]?.glob.matches(path) === true) return i;
    }
    return inherited;
  }

  #decideDirectory(directory: string): number {
    const known = this.#directories.get(directory);
    if (known !== undefined) return known;
    const decided = this.#decide(directory);
    if (this.#directories.size >= MAX_REMEMBERED) this.#directories.clear();
    this.#directories.set(directory, decided);
    return decided;
  }
}

function compileRule(text: string, line: number): CompiledRule[] {
  if (text === '') return [];
  const effect = text.startsWith('!') ? 'include' : 'exclude';
  const body = effect === 'include' ? text.slice(1).trim() : text;
  if (body === '') throw new FormatError(`line ${line}: "!" without a pattern`);
  const cleaned = clean(body);
  const glob = tryParse(cleaned, 'ignore');
  if (typeof glob === 'string') throw new FormatError(`line ${line}: ${JSON.stringify(text)}: ${glob}`);
  return [{ pattern: effect === 'include' ? `!${cleaned}` : cleaned, line, effect, glob }];
}

function withoutLeadingSlash(pattern: string): string {
  const [, negation = '', body = ''] = /^(!?)\s*(.*)$/s.exec(pattern) ?? [];
  if (body === '') return pattern;
  const cleaned = clean(body);
  return negation + (cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned);
}

/** Go's path.Clean. */
function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function tryParse(pattern: string, dialect: GlobDialect): GlobPattern | string {
  try {
    return parseGlob(pattern, dialect);
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
}
