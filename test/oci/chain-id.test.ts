import { describe, expect, test } from 'vitest';
import { chainIds } from '../../src/oci/chain-id.ts';
import { digestOf } from '../../src/oci/digest.ts';

describe('chain IDs', () => {
  const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')];

  test('the lowest layer: its diff ID', () => {
    expect(chainIds([a])).toEqual([a]);
    expect(chainIds([])).toEqual([]);
  });

  test('the others: the digest of the chain below, a space and the diff ID', () => {
    expect(chainIds([a, b, c])).toEqual([a, digestOf(`${a} ${b}`), digestOf(`${digestOf(`${a} ${b}`)} ${c}`)]);
  });

  test('the same layer on another one: another chain ID', () => {
    expect(chainIds([a, c])[1]).not.toBe(chainIds([b, c])[1]);
  });
});
