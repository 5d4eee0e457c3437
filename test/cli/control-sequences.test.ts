import { expect, test } from 'vitest';
import { afterReturns, cleanLine } from '../../src/cli/control-sequences.ts';

const E = '\u001B';

test.each([
  ['plain', 'plain'],
  ['tab\tstays', 'tab\tstays'],
  [`${E}[31mred${E}[0m`, 'red'],
  [`a${E}[2K${E}[1Gb`, 'ab'],
  [`a${E}[10;20Hb`, 'ab'],
  [`a${E}]0;title\u0007b`, 'ab'],
  [`a${E}]8;;http://x${E}\\link${E}]8;;${E}\\b`, 'alinkb'],
  [`a${E}Pq#0;2;0${E}\\b`, 'ab'],
  [`a${E}7b${E}8c${E}(Bd`, 'abcd'],
  ['bell\u0007 and \u0008back', 'bell and back'],
  [`cut ${E}[3`, 'cut 3'],
  [`\u009B31mred`, 'red'],
  ['naïve 漢字 🎉', 'naïve 漢字 🎉'],
])('%j becomes %j', (line, cleaned) => {
  expect(cleanLine(line, 'strip')).toBe(cleaned);
});

test('colours may be kept, and end with the line', () => {
  expect(cleanLine(`${E}[1;31mred${E}[2Kder`, 'keep')).toBe(`${E}[1;31mredder${E}[0m`);
  expect(cleanLine(`${E}[38:2::1:2:3mx`, 'keep')).toBe(`${E}[38:2::1:2:3mx${E}[0m`);
});

test('cleaning takes linear time', () => {
  const startMs = performance.now();
  cleanLine(`${E}]`.repeat(100_000), 'strip');
  cleanLine(`${E}[`.repeat(100_000), 'strip');
  cleanLine(`${E}P${'x'.repeat(200_000)}`, 'strip');
  expect(performance.now() - startMs).toBeLessThan(10_000);
});

test.each([
  ['5%\r10%', '10%'],
  ['5%\r10%\r', '10%'],
  ['\r\r', ''],
  ['none', 'none'],
])('of %j a terminal shows %j', (line, shown) => {
  expect(afterReturns(line)).toBe(shown);
});
