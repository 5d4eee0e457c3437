import type { Diagnostic, Position, SourceEdit } from '../core/diagnostic.ts';

/** A text with edits applied. */
export interface EditedText {
  readonly text: string;
  /** Whose edits are all in. */
  readonly fixed: readonly Diagnostic[];
}

interface Change {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Applies the edits of diagnostics in order, each diagnostic's all or none: one whose edits lie outside the text, in another file, or
 * overlap edits already taken is left for the next run.
 */
export function applyEdits(file: string, text: string, diagnostics: readonly Diagnostic[]): EditedText {
  const lineStarts = findLineStarts(text);
  const taken: Change[] = [];
  const fixed: Diagnostic[] = [];
  for (const diagnostic of diagnostics) {
    const changes = (diagnostic.edits ?? []).map((edit) => toChange(edit, file, { text, lineStarts }));
    if (changes.length === 0 || !changes.every((change) => change !== undefined)) continue;
    const sorted = [...changes, ...taken].toSorted((a, b) => a.start - b.start || a.end - b.end);
    if (hasOverlap(sorted)) continue;
    taken.push(...changes);
    fixed.push(diagnostic);
  }
  return { text: splice(text, taken), fixed };
}

function splice(text: string, changes: readonly Change[]): string {
  let result = '';
  let end = 0;
  for (const change of changes.toSorted((a, b) => a.start - b.start)) {
    result += text.slice(end, change.start) + change.text;
    end = change.end;
  }
  return result + text.slice(end);
}

/** Two insertions at one place have no order, so they overlap too. */
function hasOverlap(sorted: readonly Change[]): boolean {
  return sorted.some((change, index) => {
    const next = sorted[index + 1];
    return next !== undefined && (next.start < change.end || next.start === change.start);
  });
}

function toChange(
  edit: SourceEdit,
  file: string,
  o: { text: string; lineStarts: readonly number[] },
): Change | undefined {
  if (edit.range.file !== file) return undefined;
  const [start, end] = [toOffset(edit.range.start, o), toOffset(edit.range.end, o)];
  return start === undefined || end === undefined || end < start ? undefined : { start, end, text: edit.text };
}

function toOffset(
  { line, column }: Position,
  { text, lineStarts }: { text: string; lineStarts: readonly number[] },
): number | undefined {
  const start = lineStarts[line - 1];
  if (start === undefined || column < 1) return undefined;
  const offset = start + column - 1;
  return offset <= (lineStarts[line] ?? text.length + 1) - 1 ? offset : undefined;
}

function findLineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
