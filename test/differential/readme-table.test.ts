import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { INSTRUCTIONS } from '../../frontend/instructions/index.ts';

const root = resolve(import.meta.dirname, '../..');

const LINES = readFileSync(join(root, 'frontend/README.md'), 'utf8').split('\n');

/** The table of tests in frontend/README.md: paths by subject. */
const TABLE: ReadonlyMap<string, readonly string[]> = new Map(
  LINES.map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, , tests = '']) => tests.startsWith('`test/'))
    .map(([, subject = '', tests = '']) => [subject.replaceAll('`', ''), pathsIn(tests)]),
);

/** The tests of each deviation from BuildKit, by the first words of its row. */
const DEVIATIONS: readonly (readonly [string, readonly string[]])[] = LINES.slice(
  LINES.indexOf('## Where we are not BuildKit'),
)
  .filter((line) => line.startsWith('| ') && !/^\| (?:what|---) \|/.test(line))
  .map((line) => [line.slice(2, 60), pathsIn(line)]);

/** `COPY` and `COPY --from`, for all that the registry has. */
const SUBJECTS = [...INSTRUCTIONS.values()].flatMap(({ keyword, flags }) => [
  keyword,
  ...Object.keys(flags).map((flag) => `${keyword} --${flag}`),
]);

describe('frontend/README.md: table of tests', () => {
  it('has a row for every instruction and flag of the registry', () => {
    expect(SUBJECTS.filter((subject) => !TABLE.has(subject))).toEqual([]);
  });
  it('has no row for an instruction or flag that is not', () => {
    const named = [...TABLE.keys()].filter((subject) => /^[A-Z]/.test(subject));
    expect(named.map((subject) => subject.replace(/=type=.*/, '')).filter((name) => !SUBJECTS.includes(name))).toEqual(
      [],
    );
  });
  it('names tests that exist', () => {
    expect([...TABLE.values()].flat().filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
  it.each([...TABLE.keys()].filter((subject) => /^[A-Z]/.test(subject)))('%s: every test of it uses it', (subject) => {
    const [keyword = '', flag] = subject.split(' ');
    const used = new RegExp(`${keyword}\\b[^\\n]*?${flag === undefined ? '' : `${flag}\\b`}`, 'i');
    expect((TABLE.get(subject) ?? []).filter((path) => !used.test(textOf(path)))).toEqual([]);
  });
});

describe('frontend/README.md: deviations from BuildKit', () => {
  it('has them', () => {
    expect(DEVIATIONS.length).toBeGreaterThan(5);
  });
  it.each(DEVIATIONS)('%s…: names tests that exist', (_row, paths) => {
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

function pathsIn(cells: string): readonly string[] {
  return Array.from(cells.matchAll(/`(test\/[^`]+)`/g), ([, path = '']) => path);
}

/** All text of a test file or of a case's directory. */
function textOf(path: string): string {
  const place = join(root, path);
  if (!existsSync(place)) return '';
  if (statSync(place).isFile()) return readFileSync(place, 'utf8');
  const files = globSync('**', { cwd: place }).map((name) => join(place, name));
  return files.flatMap((file) => (statSync(file).isFile() ? [readFileSync(file, 'utf8')] : [])).join('\n');
}
