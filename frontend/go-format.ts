/** How Go prints and reads values where an image's history or a flag shows it: the image must not depend on who built it. */

const ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

/** A string in double quotes, as `%q` prints it. */
export function quote(text: string): string {
  return `"${Array.from(text, (character) => (character === '"' ? '\\"' : escapeRune(character))).join('')}"`;
}

/** The character of code point `value` in single quotes, as `%q` prints an integer. */
export function quoteRune(value: number): string {
  const character = value >= 0 && value <= 0x10ffff ? String.fromCodePoint(value) : '\ufffd';
  return `'${character === "'" ? "\\'" : escapeRune(character)}'`;
}

/** Strings in brackets, as `%q` prints a list. */
export function quoteList(items: readonly string[]): string {
  return `[${items.map(quote).join(' ')}]`;
}

/** Strings in brackets without quotes, as `%v` prints a list. */
export function formatList(items: readonly string[]): string {
  return `[${items.join(' ')}]`;
}

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** The nanoseconds of `1h30m`, `1.5s`, `0`; `undefined` where it is no duration or too long for Go. */
export function parseDuration(text: string): number | undefined {
  const match = /^([+-]?)(0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let total = 0;
  for (const [, amount = '', unit = ''] of (match[2] ?? '').matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    total += Number(amount) * (NANOSECONDS[unit] ?? 0);
  }
  if (total >= 2 ** 63) return undefined;
  return (match[1] === '-' ? -1 : 1) * Math.trunc(total);
}

/** A duration of so many nanoseconds as Go prints it: `0s`, `100ms`, `1m30s`. */
export function formatDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 0) return `-${formatDuration(-nanoseconds)}`;
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const hours = Math.floor(nanoseconds / 3600e9);
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9);
  const seconds = `${Number(((nanoseconds % 60e9) / 1e9).toFixed(9))}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

function escapeRune(character: string): string {
  const escape = ESCAPES[character];
  if (escape !== undefined) return escape;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}
