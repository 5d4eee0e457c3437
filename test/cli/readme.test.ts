import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { format } from 'prettier';
import { formatFlagTable } from '../../src/cli/flag-table.ts';

const readme = resolve(import.meta.dirname, '../../README.md');
const section = /(<!-- flags:.*?-->\n)([\s\S]*?)(<!-- end of flags -->)/;

test('README: its tables of flags are those of the program', async () => {
  const text = readFileSync(readme, 'utf8');
  const tables = await format(formatFlagTable(), { parser: 'markdown', printWidth: 120 });
  if (process.env['TSBUILD_UPDATE_GOLDEN'] === '1') {
    writeFileSync(
      readme,
      text.replace(section, (_all, begin: string, _old, end: string) => `${begin}\n${tables}\n${end}`),
    );
  }
  expect(section.exec(readFileSync(readme, 'utf8'))?.[2]?.trim()).toBe(tables.trim());
});
