import type { SourceRange } from '../../src/core/diagnostic.ts';
import type { Directive, EscapeCharacter } from './elements.ts';
import { Flaw } from '../flaw.ts';

const NAMES = ['syntax', 'escape', 'check'] as const;

/** Reads the parser directives; fed the lines of the file until the first that is none. */
export class DirectiveZone {
  readonly #found: Directive[] = [];
  #state: 'open' | 'closed' = 'open';

  /**
   * Takes the next line, white space at its start removed, and tells whether it is a directive.
   * @throws Flaw for a repeated directive or an impossible escape.
   */
  accept(line: string, range: SourceRange): 'directive' | 'other' {
    if (this.#state === 'closed') return 'other';
    const directive = parseDirective(line, range);
    if (directive === undefined) {
      this.#state = 'closed';
      return 'other';
    }
    if (this.#found.some(({ name }) => name === directive.name)) {
      throw new Flaw('DuplicateDirective', `only one ${directive.name} parser directive can be used`);
    }
    this.#found.push(directive);
    if (directive.name === 'escape' && directive.value !== '\\' && directive.value !== '`') {
      throw new Flaw('InvalidEscape', `invalid escape token '${directive.value}' does not match \` or \\`);
    }
    return 'directive';
  }

  /** In the order of the file. */
  get directives(): readonly Directive[] {
    return this.#found;
  }

  /** What the escape directive says so far; a backslash without one. */
  get escape(): EscapeCharacter {
    return this.#found.some(({ name, value }) => name === 'escape' && value === '`') ? '`' : '\\';
  }
}

function parseDirective(line: string, range: SourceRange): Directive | undefined {
  const match = /^#[\t\n\f\r ]*([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=(.*)$/s.exec(line);
  const name = NAMES.find((known) => known === match?.[1]?.toLowerCase());
  const value = match?.[2]?.trim() ?? '';
  return name === undefined || value === '' ? undefined : { name, value, range };
}
