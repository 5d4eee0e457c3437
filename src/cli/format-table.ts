import { cleanText } from './control-sequences.ts';
import { padText, textWidth } from './text-width.ts';

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly cell: (row: Row) => string;
}

/** Rows below their titles, columns three blanks apart as docker prints them; the last column is not filled up. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => cleanText(cell(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => textWidth(line[index] ?? ''))));
  return lines
    .map((line) =>
      line
        .map((text, index) => align(text, widths[index] ?? 0, columns[index]?.align ?? 'left'))
        .join('   ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function align(text: string, width: number, side: 'left' | 'right'): string {
  return side === 'left' ? padText(text, width) : ' '.repeat(Math.max(0, width - textWidth(text))) + text;
}
