import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

/** The traps that the description of the language numbers. */
const TRAPS = Array.from({ length: 45 }, (_, index) => index + 1);

/** All that tests and cases say of themselves. */
function namedTraps(): ReadonlySet<number> {
  const tests = resolve(import.meta.dirname, '..');
  const files = globSync(['**/*.ts', 'e2e/cases/*/case.json'], { cwd: tests });
  const texts = files.map((file) => readFileSync(join(tests, file), 'utf8'));
  const lists = texts.flatMap((text) => Array.from(text.matchAll(/\(traps? ([\d, ]+)\)/g), ([, list = '']) => list));
  return new Set(lists.flatMap((list) => list.split(',').map(Number)));
}

it('traps: each of the 45 has a test that names it', () => {
  const named = namedTraps();
  expect(TRAPS.filter((trap) => !named.has(trap))).toEqual([]);
});
