import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { readSelectionList, saveSelectionList } from '../../sandbox/selection-list.ts';
import { openTemp } from '../support/temp.ts';

function frame(records: readonly (readonly string[])[]): { readonly text: string; readonly digest: Digest } {
  const text = records
    .map((fields) => `${fields.length};${fields.map((field) => `${field.length}:${field}`).join('')}`)
    .join('');
  return { text, digest: `sha256:${createHash('sha256').update(text, 'latin1').digest('hex')}` as Digest };
}

const name = Buffer.from('ä:1;2').toString('latin1');
const { text, digest } = frame([
  ['tsbuild-selection-1', 'drop'],
  ['root', 'contents', 'src'],
  ['directory', '', '493 0 0', ''],
  ['file', name, '420 1 2 5', '\u0000\u00ff'.repeat(16)],
  ['symlink', 'link', '0 0', '../target'],
]);

it('selection list: gives back the files that a digest was made from', () => {
  using temp = openTemp();
  saveSelectionList(join(temp.path, 'lists'), digest, text);
  const root = { index: 0, name: 'src' };
  const files = readSelectionList(join(temp.path, 'lists'), digest);
  expect(files?.map((file) => (file.type === 'file' ? { ...file, content: '' } : file))).toEqual([
    { type: 'directory', root, path: '', mode: 0o755, owner: '0:0', content: '' },
    { type: 'file', root, path: 'ä:1;2', mode: 0o644, owner: '1:2', content: '' },
    { type: 'symlink', root, path: 'link', mode: 0, owner: '0:0', content: '../target' },
  ]);
});

it('selection list: one that is not there, or was changed, is none', () => {
  using temp = openTemp();
  expect(readSelectionList(temp.path, digest)).toBeUndefined();
  const other = frame([['root', 'contents', 'other']]);
  saveSelectionList(temp.path, digest, other.text);
  expect(readSelectionList(temp.path, digest)).toBeUndefined();
  writeFileSync(join(temp.path, digest.slice('sha256:'.length)), 'garbage');
  expect(readSelectionList(temp.path, digest)).toBeUndefined();
});

it('selection list: only so many are kept', () => {
  using temp = openTemp();
  for (let i = 0; i < 300; i++) {
    const list = frame([['root', 'contents', String(i)]]);
    saveSelectionList(temp.path, list.digest, list.text);
  }
  expect(readdirSync(temp.path).length).toBe(256);
});
