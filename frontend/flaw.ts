/** Which part of an instruction is meant; turned into a range of the file only where somebody wants to see it. */
export type Place =
  | { readonly kind: 'instruction' }
  | { readonly kind: 'keyword' }
  /** A flag by its name, the last of that name. */
  | { readonly kind: 'flag'; readonly name: string }
  /** An argument by its number, flags not counted. */
  | { readonly kind: 'argument'; readonly index: number }
  /** The first argument that holds this text. */
  | { readonly kind: 'word'; readonly text: string }
  /** The first use of a variable. */
  | { readonly kind: 'variable'; readonly name: string };

/**
 * A flaw of one instruction, thrown where it is found and turned into a `Diagnostic` where the instruction is known.
 * It never leaves the frontend. `code` is stable, `help` says the way out.
 */
export class Flaw extends Error {
  override readonly name = 'Flaw';
  readonly code: string;
  readonly place: Place;
  readonly help: string | undefined;

  constructor(code: string, message: string, o: { readonly place?: Place; readonly help?: string | undefined } = {}) {
    super(message);
    this.code = code;
    this.place = o.place ?? { kind: 'instruction' };
    this.help = o.help;
  }
}
