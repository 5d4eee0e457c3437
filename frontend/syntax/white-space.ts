const SPACES = /^[\t\n\v\f\r \u0085\p{Z}]$/u;
const LEADING = /^[\t\n\v\f\r \u0085\p{Z}]+/u;

/** Whether one character is white space as Go's unicode.IsSpace has it, which differs from JavaScript's `\s`. */
export function isSpace(character: string): boolean {
  const code = character.charCodeAt(0);
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return SPACES.test(character);
}

/** `text` without the white space at its start. */
export function trimStart(text: string): string {
  return text.replace(LEADING, '');
}

/** `text` without the white space at both ends. */
export function trim(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charAt(end - 1))) end--;
  return trimStart(text.slice(0, end));
}

/** The parts of `text` between runs of the white space that separates a Dockerfile's words; at most `limit`, the last unsplit. */
export function splitWords(text: string, limit = Number.POSITIVE_INFINITY): string[] {
  const words: string[] = [];
  let start = 0;
  for (const separator of text.matchAll(/[\t\v\f\r ]+/g)) {
    if (words.length + 1 >= limit) break;
    words.push(text.slice(start, separator.index));
    start = separator.index + separator[0].length;
  }
  words.push(text.slice(start));
  return words;
}
