import type { SourceRange } from '../core/diagnostic.ts';
import { cleanLine } from './control-sequences.ts';
import type { Palette } from './palette.ts';
import { textWidth } from './text-width.ts';

/** Lines of context above the marked ones. */
const ABOVE = 2;
/** Of a long range (a heredoc) as many lines are shown. */
const MAX_MARKED = 8;

/**
 * The lines that `range` covers, marked with `>>>`, after two lines of context; a caret line below shows the columns where the range
 * is part of one line. The first line names the place: `Dockerfile:4:1`.
 */
export function formatExcerpt(range: SourceRange, text: string | undefined, palette: Palette): string {
  const place = `${range.file}:${range.start.line}:${range.start.column}\n`;
  if (text === undefined) return place;
  const lines = text.split('\n');
  const last = Math.min(
    lines.length,
    range.end.column === 1 && range.end.line > range.start.line ? range.end.line - 1 : range.end.line,
  );
  const shownEnd = Math.min(last, range.start.line + MAX_MARKED - 1);
  const digits = Math.max(4, String(shownEnd).length + 1);
  const rows: string[] = [];
  for (let number = Math.max(1, range.start.line - ABOVE); number <= shownEnd; number++) {
    const marked = number >= range.start.line;
    const gutter = `${String(number).padStart(digits)} | ${marked ? palette('error', '>>>') : '   '} `;
    rows.push((gutter + showLine(lines[number - 1] ?? '')).trimEnd());
  }
  if (shownEnd < last) rows.push(`${' '.repeat(digits)} | ${palette('error', '>>>')} (${last - shownEnd} more lines)`);
  const carets = caretLine(range, lines[range.start.line - 1] ?? '', palette);
  if (carets !== undefined) rows.push(`${' '.repeat(digits)} |     ${carets}`);
  return `${place}${rows.join('\n')}\n`;
}

/** Carets below part of a line; `undefined` where the range is the whole line or several. */
function caretLine({ start, end }: SourceRange, line: string, palette: Palette): string | undefined {
  if (end.line !== start.line) return undefined;
  const content = line.trimEnd();
  const whole = content.slice(0, start.column - 1).trim() === '' && end.column > content.length;
  if (whole && end.column > start.column) return undefined;
  const before = textWidth(showLine(line.slice(0, start.column - 1)));
  const covered = textWidth(showLine(line.slice(start.column - 1, end.column - 1)));
  return ' '.repeat(before) + palette('caret', '^'.repeat(Math.max(1, covered)));
}

function showLine(line: string): string {
  return cleanLine(line.replaceAll('\t', '    '), 'strip');
}
