import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { INSTRUCTIONS } from '../../frontend/instructions/index.ts';

const root = resolve(import.meta.dirname, '../..');

/** The table of tests in frontend/README.md: paths by subject. */
const TABLE: ReadonlyMap<string, readonly string[]> = new Map(
  readFileSync(join(root, 'frontend/README.md'), 'utf8')
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, , tests = '']) => tests.startsWith('`test/'))
    .map(([, subject = '', tests = '']) => [
      subject.replaceAll('`', ''),
      Array.from(tests.matchAll(/`([^`]+)`/g), ([, path = '']) => path),
    ]),
);

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

/** All text of a test file or of a case's directory. */
function textOf(path: string): string {
  const place = join(root, path);
  if (!existsSync(place)) return '';
  if (statSync(place).isFile()) return readFileSync(place, 'utf8');
  const files = globSync('**', { cwd: place }).map((name) => join(place, name));
  return files.flatMap((file) => (statSync(file).isFile() ? [readFileSync(file, 'utf8')] : [])).join('\n');
}
