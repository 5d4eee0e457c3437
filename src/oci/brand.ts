declare const brand: unique symbol;

/** A nominal tag: `string & Brand<'Digest'>` cannot be mixed up with other strings. Erased at run time. */
export interface Brand<Name extends string> {
  readonly [brand]: Name;
}
