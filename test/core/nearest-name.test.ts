import { describe, expect, test } from 'vitest';
import { didYouMean, nearestName } from '../../src/core/nearest-name.ts';

describe('nearest name', () => {
  test.each([
    ['tga', 'tag'],
    ['bulid', 'build'],
    ['IMAGES', 'images'],
    ['imges', 'images'],
    ['xyz', undefined],
    ['', undefined],
  ])('%j: is %j', (word, name) => {
    expect(nearestName(word, ['tag', 'build', 'images', 'prune'])).toBe(name);
  });

  test.each([
    ['FORM', 'FROM'],
    ['RNU', 'RUN'],
    ['COYP', 'COPY'],
    ['a', undefined],
  ])('instruction %j: is %j, as a swap counts once', (word, name) => {
    expect(nearestName(word, ['FROM', 'RUN', 'COPY', 'ADD', 'ARG'])).toBe(name);
  });

  test('equal letters in another case: come before other letters', () => {
    expect(nearestName('Readme', ['Readmi', 'README'])).toBe('README');
  });

  test('the word itself: is no answer', () => {
    expect(nearestName('tag', ['tag'])).toBeUndefined();
  });

  test('long words and long lists: cost a bounded time', () => {
    expect(nearestName('x'.repeat(300), ['x'.repeat(299)])).toBeUndefined();
    expect(nearestName('build', [...Array.from({ length: 600 }, () => 'zzzz'), 'buidl'])).toBeUndefined();
  });

  test('didYouMean: asks, or says nothing', () => {
    expect(didYouMean('bulid', ['build'])).toBe('did you mean build?');
    expect(didYouMean('zzzzz', ['build'])).toBeUndefined();
  });
});
