import { baseName, parentPath, type ByteString } from './byte-string.ts';
import { contentXattrs } from './extended-attributes.ts';
import { copyContent } from './copy-content.ts';
import { statOf } from './file-stat.ts';
import type { Metadata } from './layer-target.ts';
import type { LayerWriter } from './layer-writer.ts';
import { syscalls } from './syscalls.ts';
import { lookupEntry, openFile, readLink } from './tree-directory.ts';

/** Brings the file at the real path `path` into the layer, as it is in the layers below; false where no file or link is there. */
export function copyUp(writer: LayerWriter, path: ByteString): boolean {
  const parent = writer.directory(parentPath(path), missingParent);
  const name = baseName(path);
  const standing = writer.standing(parent, name);
  if (standing === undefined || standing.stat.type === 'directory') return false;
  if (standing.where === 'upper') return true;
  const entry = parent.lower === undefined ? undefined : lookupEntry(parent.lower, name);
  if (entry === undefined) return false;
  if (entry.stat.type === 'symlink') {
    writer.createLink(parent, name, { target: readLink(entry), metadata: { ...entry.stat, xattrs: new Map() } });
    return true;
  }
  if (entry.stat.type !== 'file') return false;
  const from = openFile(entry);
  const to = writer.createFile(parent, name);
  try {
    copyContent(from, to, entry.stat.size);
    writer.describe(to, { ...statOf(from), xattrs: contentXattrs(from) });
  } finally {
    syscalls().close(from);
    syscalls().close(to);
  }
  return true;
}

/** Parents of something that is there need not be made. */
function missingParent(): Metadata {
  return { mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map() };
}
