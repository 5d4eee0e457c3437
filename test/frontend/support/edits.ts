import type { Diagnostic, Position } from '../../../src/core/diagnostic.ts';

/** `text` with the edits of all diagnostics made. */
export function applyEdits(text: string, diagnostics: readonly Diagnostic[]): string {
  const lines = text.split('\n');
  const offsetOf = ({ line, column }: Position): number =>
    lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  return diagnostics
    .flatMap(({ edits }) => edits ?? [])
    .map(({ range, text: replacement }) => ({ start: offsetOf(range.start), end: offsetOf(range.end), replacement }))
    .toSorted((a, b) => b.start - a.start)
    .reduce((done, { start, end, replacement }) => done.slice(0, start) + replacement + done.slice(end), text);
}
