import type { Diagnostic } from '../core/diagnostic.ts';
import { cleanText } from './control-sequences.ts';
import type { Palette } from './palette.ts';
import { formatExcerpt } from './source-excerpt.ts';
import type { SourceTexts } from './source-texts.ts';

/** Where texts come from and how they look. */
export interface DiagnosticOptions {
  readonly texts: SourceTexts;
  readonly palette: Palette;
}

/** Diagnostics in the order of their places, those without one first; of equal places errors before warnings. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  return diagnostics.toSorted((a, b) => {
    const [fileA, lineA, columnA] = place(a);
    const [fileB, lineB, columnB] = place(b);
    if (fileA !== fileB) return fileA < fileB ? -1 : 1;
    return lineA - lineB || columnA - columnB || a.severity.localeCompare(b.severity, 'en');
  });
}

function place({ range }: Diagnostic): readonly [file: string, line: number, column: number] {
  return range === undefined ? ['', 0, 0] : [range.file, range.start.line, range.start.column];
}

/** Each diagnostic with its excerpt, the way out and where to read more; a blank line between them. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], o: DiagnosticOptions): string {
  return sortDiagnostics(diagnostics)
    .map((diagnostic) => renderDiagnostic(diagnostic, o))
    .join('\n');
}

function renderDiagnostic(
  { severity, code, message, range, help, url }: Diagnostic,
  { texts, palette }: DiagnosticOptions,
): string {
  const excerpt = range === undefined ? '' : formatExcerpt(range, texts(range.file), palette);
  return [
    `${excerpt}${palette(severity, `${severity} ${code}:`)} ${cleanText(message)}`,
    ...(help === undefined ? [] : [`${palette('bold', 'hint:')} ${cleanText(help)}`]),
    ...(url === undefined ? [] : [palette('dim', `more: ${url}`)]),
    '',
  ].join('\n');
}

/** The warnings of a build in one line each: `2 warnings:` and ` - Dockerfile:3: StageNameCasing: message`; empty without one. */
export function renderWarnings(warnings: readonly Diagnostic[], palette: Palette): string {
  const distinct = [...new Map(warnings.map((warning) => [JSON.stringify(warning), warning])).values()];
  if (distinct.length === 0) return '';
  const lines = sortDiagnostics(distinct).map(({ code, message, range }) => {
    const where = range === undefined ? '' : `${range.file}:${range.start.line}: `;
    return cleanText(` - ${where}${code}: ${message}`);
  });
  const count = `${distinct.length} ${distinct.length === 1 ? 'warning' : 'warnings'}:`;
  return `${palette('warning', count)}\n${lines.join('\n')}\n`;
}
