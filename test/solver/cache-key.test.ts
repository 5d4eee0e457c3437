import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { cacheKey, formatFields, type KeyField } from '../../solver/cache-key.ts';

const fieldLists = fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 4 });

describe('cache key', () => {
  test('different lists of fields never share a key', () => {
    fc.assert(
      fc.property(fieldLists, fieldLists, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(cacheKey('recipe', a) === cacheKey('recipe', b)).toBe(same);
      }),
    );
  });

  test('text cannot move from one field to its neighbour', () => {
    expect(cacheKey('recipe', [['a', 'bc']])).not.toBe(cacheKey('recipe', [['ab', 'c']]));
    expect(
      cacheKey('recipe', [
        ['a', 'b'],
        ['c', ''],
      ]),
    ).not.toBe(
      cacheKey('recipe', [
        ['a', ''],
        ['b', 'c'],
      ]),
    );
  });

  test('a recipe key is never a result key', () => {
    const fields: readonly KeyField[] = [['op', 'exec']];
    expect(cacheKey('recipe', fields)).not.toBe(cacheKey('result', fields));
  });

  test('bytes and the text they spell are one value', () => {
    expect(cacheKey('recipe', [['data', Buffer.from('x')]])).toBe(cacheKey('recipe', [['data', 'x']]));
  });

  test('the record keeps labels and values in order', () => {
    expect(
      formatFields([
        ['b', '1'],
        ['a', Buffer.from([0, 255])],
      ]),
    ).toBe('[["b","1"],["a","AP8="]]');
  });
});
