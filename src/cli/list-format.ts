import type { AnyFlag } from './flag.ts';
import { parseChoice } from './parse-key-value.ts';

/** How a list is printed. */
export interface ListFlags {
  readonly format: 'table' | 'json';
}

/** The flag of commands that print a list for people or for programs. */
export const listFlags: readonly AnyFlag<ListFlags>[] = [
  {
    name: 'format',
    value: 'table|json',
    field: 'format',
    doc: 'for people or for programs (default: table)',
    parse: (texts) => parseChoice('--format', texts.at(-1) ?? '', ['table', 'json']),
  },
];

/** A value as indented JSON with a line end. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
