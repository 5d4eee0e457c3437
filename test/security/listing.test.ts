import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Rows of three columns whose second one is a test file: what it holds, the file, a part of the test's name. */
function rowsOf(document: string, folder: string): readonly { file: string; name: string }[] {
  const text = readFileSync(join(root, document), 'utf8');
  const rows = text.matchAll(/^\| [^|]+ \| (?<file>\S+\.ts) \| (?<name>[^|]+) \|$/gm);
  return Array.from(rows, ({ groups }) => ({
    file: join(folder, groups?.['file'] ?? ''),
    name: groups?.['name'] ?? '',
  }));
}

describe.each([
  ['sandbox/README.md', 'test'],
  ['.github/SECURITY.md', '.'],
])('%s', (document, folder) => {
  const rows = rowsOf(document, folder);
  it('lists tests', () => expect(rows.length).toBeGreaterThan(10));
  it.each(rows)('$file: $name', ({ file, name }) => {
    const path = join(root, file);
    expect(existsSync(path), path).toBe(true);
    expect(readFileSync(path, 'utf8')).toContain(name);
  });
});
