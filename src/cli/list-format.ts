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

/** A value as indented JSON with a line end; the control characters that JSON lets pass are escaped too, since terminals obey them. */
export function formatJson(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2);
  return `${text.replaceAll(/[\u007F-\u009F]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)}\n`;
}
