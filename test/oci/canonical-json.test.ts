import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/oci/canonical-json.ts';
import { FormatError } from '../../src/oci/format-error.ts';

describe('canonicalJson', () => {
  it('objects: sorts members by code units at every depth', () => {
    const value = { b: 1, a: { Z: [{ y: 1, x: 2 }], é: null, z: true } };
    expect(canonicalJson(value)).toBe('{"a":{"Z":[{"x":2,"y":1}],"z":true,"é":null},"b":1}');
  });

  it('objects: leaves out members that are undefined', () => {
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  });

  it('bytes: become base64 strings, as Buffer and as Uint8Array', () => {
    expect(canonicalJson([Buffer.from([0xff, 0]), Uint8Array.of(1)])).toBe('["/wA=","AQ=="]');
  });

  it.each([
    ['NaN', { a: NaN }, 'json has no NaN: $.a'],
    ['infinity', [1, -Infinity], 'json has no -Infinity: $[1]'],
    ['a function', { a: [{ f: () => 1 }] }, 'json has no function: $.a[0].f'],
    ['a bigint', 1n, 'json has no bigint: $'],
    ['undefined in an array', [undefined], 'json has no undefined: $[0]'],
    ['a hole in an array', Array(1), 'json has no undefined: $[0]'],
    ['a Map', { m: new Map() }, 'json has no Map: $.m'],
    ['a Date', new Date(0), 'json has no Date: $'],
    ['a symbol', Symbol('s'), 'json has no symbol: $'],
  ])('values: refuses %s and says where', (_, value, message) => {
    expect(() => canonicalJson(value)).toThrow(new FormatError(message));
  });

  it('property: parses back to the value, and equal values give equal text whatever the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(value))).toBe(text);
      }),
    );
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, reversed(member)]),
  );
}
