import { FormatError } from './format-error.ts';

/**
 * JSON that depends on the value alone: members in the order of their names' code units, no white space, members that are
 * `undefined` left out, bytes as base64 strings. What is hashed is written with it.
 * @throws FormatError naming the place of a value that JSON does not have: NaN, a function, a bigint, a Map, `undefined` in an array.
 */
export function canonicalJson(value: unknown): string {
  return encode(value, '$');
}

function encode(value: unknown, place: string): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new FormatError(`json has no ${value}: ${place}`);
      return JSON.stringify(value);
    case 'object':
      return value === null ? 'null' : encodeObject(value, place);
    case 'bigint':
    case 'function':
    case 'symbol':
    case 'undefined':
      throw new FormatError(`json has no ${typeof value}: ${place}`);
  }
}

function encodeObject(value: object, place: string): string {
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return `[${Array.from(items, (item, i) => encode(item, `${place}[${i}]`)).join()}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) {
    throw new FormatError(`json has no ${value.constructor.name}: ${place}`);
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${encode(member, `${place}.${name}`)}`);
  return `{${members.join()}}`;
}
