import type { TarEntry, TarEntryType } from '../src/oci/tar-header.ts';
import { toBytes, type ByteString } from './byte-string.ts';
import { NO_XATTRS, type Xattrs } from './extended-attributes.ts';
import type { FileStat, FileType } from './file-stat.ts';

/** The tar entry of a file at `path`, or `undefined` for a socket, which no archive holds. */
export function tarEntryOf(
  path: ByteString,
  stat: FileStat,
  o: { readonly xattrs?: Xattrs; readonly target?: ByteString } = {},
): TarEntry | undefined {
  const type = typeOf(stat.type);
  if (type === undefined) return undefined;
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path: toBytes(path),
    type,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    size: type === 'file' ? stat.size : 0,
    mtime: stat.mtime,
    xattrs: o.xattrs ?? NO_XATTRS,
    ...(o.target !== undefined && { linkPath: toBytes(o.target) }),
    ...(isDevice && { deviceMajor: stat.deviceMajor, deviceMinor: stat.deviceMinor }),
  };
}

/** The tar entry that makes `path` a further name of the earlier entry `target`. */
export function hardLinkEntry(path: ByteString, stat: FileStat, target: ByteString): TarEntry {
  const { mode, uid, gid, mtime } = stat;
  return {
    path: toBytes(path),
    type: 'hardlink',
    mode,
    uid,
    gid,
    size: 0,
    mtime,
    xattrs: NO_XATTRS,
    linkPath: toBytes(target),
  };
}

function typeOf(type: FileType): TarEntryType | undefined {
  return type === 'socket' ? undefined : type;
}
