import {
  chmod,
  lstat,
  mkdtempDisposable,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeFileAtomic } from '../../src/cli/write-file-atomic.ts';

test('write: makes a file, and replaces one with its mode', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
  const path = join(folder.path, 'file');
  await writeFileAtomic(path, 'one');
  await chmod(path, 0o751);
  const before = await stat(path);
  await writeFileAtomic(path, 'two');
  const after = await stat(path);
  expect([await readFile(path, 'utf8'), after.mode & 0o777, after.ino === before.ino]).toEqual(['two', 0o751, false]);
  expect(await readdir(folder.path)).toEqual(['file']);
});

test('write: follows a symbolic link', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
  const [target, link] = [join(folder.path, 'target'), join(folder.path, 'link')];
  await writeFile(target, 'one');
  await symlink('target', link);
  await writeFileAtomic(link, 'two');
  expect([await readlink(link), await readFile(target, 'utf8'), (await lstat(link)).isSymbolicLink()]).toEqual([
    'target',
    'two',
    true,
  ]);
});

test('write: leaves nothing behind when it fails', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'tsbuild-cli-'));
  await expect(writeFileAtomic(join(folder.path, 'missing/file'), 'x')).rejects.toThrow('ENOENT');
  expect(await readdir(folder.path)).toEqual([]);
});
