import { readSync } from 'node:fs';
import { BuildError } from '../src/core/error.ts';
import { fromText } from './byte-string.ts';
import type { FileCalls } from './file-jobs.ts';
import { statOf } from './file-stat.ts';
import { resolvePath } from './path-in-root.ts';
import { syscalls } from './syscalls.ts';
import { openFile, openTree } from './tree-directory.ts';

/** The bytes of a regular file of a tree (see `FileBackend.readFile`). */
export function readFileInTree({ directories, path, maxBytes }: FileCalls['readFile']['args']): Uint8Array | undefined {
  if (directories.length === 0) return undefined;
  using tree = openTree(directories.toReversed());
  using found = resolvePath(tree, fromText(path), 'follow');
  if (found.entry?.stat.type !== 'file') return undefined;
  const fd = openFile(found.entry);
  try {
    const { size, type } = statOf(fd);
    if (type !== 'file') return undefined;
    if (size > maxBytes) throw new BuildError('PATH_INVALID', { path, reason: `is larger than ${maxBytes} bytes` });
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const read = readSync(fd, bytes, at, size - at, at);
      if (read === 0) return bytes.slice(0, at);
      at += read;
    }
    return bytes;
  } finally {
    syscalls().close(fd);
  }
}
