import { usageError } from './usage-error.ts';

/** One `key=value` of a comma-separated flag value; `value` is absent where there is no `=`. */
export interface Field {
  readonly key: string;
  readonly value?: string;
}

/**
 * The fields of a value such as `type=oci,dest=out.tar`. A field that itself holds commas is quoted as a whole
 * (`"name=a,b"`, a quote inside is doubled), as in Go's encoding/csv that docker uses. Keys are lower-cased.
 */
export function parseFields(flag: string, text: string): readonly Field[] {
  return splitRecord(flag, text).map((field) => {
    const equals = field.indexOf('=');
    if (equals < 0) return { key: field.trim() };
    return { key: field.slice(0, equals).trim().toLowerCase(), value: field.slice(equals + 1) };
  });
}

/** The fields of one CSV record, unquoted. */
export function splitRecord(flag: string, text: string): readonly string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    const plain = /^([^",]*)(,|$)/.exec(rest);
    const match = quoted ?? plain;
    if (match === null)
      throw usageError(`${flag}: misplaced quote in ${JSON.stringify(text)}`, 'quote the whole field: "key=a,b"');
    const [whole, body = '', separator] = match;
    fields.push(quoted === null ? body : body.replaceAll('""', '"'));
    if (separator === '') return fields;
    rest = rest.slice(whole.length);
  }
}
