import type { Command } from 'commander';

/** What surrounds a command line: parsers may look things up in it. */
export interface FlagContext {
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How a flag is spelt and explained. */
export interface FlagShape {
  /** Without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What follows, for help (`NAME=VALUE`); absent for a switch. */
  readonly value?: string;
  /** For a value that may be left out: what the bare flag stands for. It is then given as `--flag=value` only. */
  readonly bare?: string;
  /** One sentence, lower case, no full stop; shown by --help and in README. */
  readonly doc: string;
  /** Variables that stand in for the flag, the first one set wins. */
  readonly env?: readonly string[];
}

/** A flag of the command line, and the field of `F` that it fills. */
export interface Flag<F, K extends keyof F> extends FlagShape {
  readonly field: K;
  /** The field's value from all occurrences, in order; never called without one. @throws USAGE */
  readonly parse: (texts: readonly string[], context: FlagContext) => F[K];
}

/** A row of a table of flags whose fields differ. */
export type AnyFlag<F> = { readonly [K in keyof F]-?: Flag<F, K> }[keyof F];

/** The raw values of flags, by flag name, as given. */
export type RawFlags = ReadonlyMap<string, readonly string[]>;

/** `-t, --tag NAME`, as help and README show it. */
export function formatFlag({ short, name, value, bare }: FlagShape): string {
  const long = value === undefined ? `--${name}` : bare === undefined ? `--${name} ${value}` : `--${name}[=${value}]`;
  return short === undefined ? long : `-${short}, ${long}`;
}

/** The fields that the given flags and the environment fill. A flag wins over its variables. */
export function parseFlags<F>(flags: readonly AnyFlag<F>[], raw: RawFlags, context: FlagContext): Partial<F> {
  const fields: Partial<F> = {};
  for (const flag of flags) {
    const fromEnv = flag.env?.map((name) => context.env[name]).find((value) => value !== undefined && value !== '');
    const texts = raw.get(flag.name) ?? (fromEnv === undefined ? undefined : [fromEnv]);
    if (texts !== undefined) fields[flag.field] = flag.parse(texts, context);
  }
  return fields;
}

/** Makes `command` accept `flags`; what it is given appears in `raw`. */
export function registerFlags(command: Command, flags: readonly FlagShape[], raw: Map<string, string[]>): void {
  for (const flag of flags) {
    const value = flag.value === undefined ? '' : flag.bare === undefined ? ` <${flag.value}>` : ` [${flag.value}]`;
    const spelling = `${flag.short === undefined ? '' : `-${flag.short}, `}--${flag.name}${value}`;
    const variables = flag.env === undefined ? '' : ` [${flag.env.join(', ')}]`;
    const option = command.createOption(spelling, `${flag.doc}${variables}`);
    // commander takes `--no-cache` for the negation of `--cache`.
    option.negate = false;
    command.addOption(option);
    command.on(`option:${flag.name}`, (text: string | null | undefined) => {
      raw.set(flag.name, [...(raw.get(flag.name) ?? []), text ?? flag.bare ?? 'true']);
    });
  }
}

/**
 * `argv` with docker's spellings turned into commander's: `--load=true` is `--load`, `--load=false` is nothing, and `--pull` is
 * `--pull=always` whatever comes behind it.
 */
export function normalizeArgv(argv: readonly string[], flags: readonly FlagShape[]): readonly string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const head = argv.slice(0, end).flatMap((argument) => {
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argument) ?? [];
    const flag = flags.find((known) => known.name === name);
    if (flag?.bare !== undefined && value === undefined) return [`--${flag.name}=${flag.bare}`];
    if (flag === undefined || flag.value !== undefined || value === undefined) return [argument];
    if (/^(1|t|true)$/i.test(value)) return [`--${flag.name}`];
    return /^(0|f|false)$/i.test(value) ? [] : [argument];
  });
  return [...head, ...argv.slice(end)];
}
