// oxlint-disable no-control-regex -- control characters are this file's subject

/** CSI (ECMA-48 5.4), OSC and other strings up to BEL or ST, and two-character escapes. */
const SEQUENCE =
  /\u001B\[[0-?]*[ -/]*[@-~]|\u001B[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\)?|\u001B[ -/]*[0-~]|\u009B[0-?]*[ -/]*[@-~]/g;
const COLOUR = /^\u001B\[[0-9;:]*m$/;
const HAS_CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/;
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g;
const RESET = '\u001B[0m';

/** One line of a program's output, safe to print anywhere: nothing in it moves the cursor, rings or renames the window. */
export function cleanLine(line: string, colours: 'keep' | 'strip'): string {
  if (!HAS_CONTROL.test(line)) return line;
  let coloured = false;
  const parts: string[] = [];
  let end = 0;
  for (const match of line.matchAll(SEQUENCE)) {
    parts.push(line.slice(end, match.index).replace(CONTROL, ''));
    end = match.index + match[0].length;
    if (colours === 'keep' && COLOUR.test(match[0])) {
      parts.push(match[0]);
      coloured = true;
    }
  }
  parts.push(line.slice(end).replace(CONTROL, ''));
  return parts.join('') + (coloured ? RESET : '');
}

/** A text of several lines, such as a message with names from a Dockerfile, an image or a registry in it, as safe as its lines. */
export function cleanText(text: string): string {
  if (!HAS_CONTROL.test(text)) return text;
  return text
    .split('\n')
    .map((line) => cleanLine(line, 'strip'))
    .join('\n');
}

/** What a terminal would show of a line that returned to its start: what was written last (`5%\r10%`). */
export function afterReturns(line: string): string {
  if (!line.includes('\r')) return line;
  return line.split('\r').findLast((part) => part !== '') ?? '';
}
