import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, check, cName, ENOENT, ENOTDIR, syscalls } from './syscalls.ts';
import type { ByteString } from './byte-string.ts';

/** What a name stands for. */
export type FileType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';

/** A point in time as the kernel keeps it; nanoseconds count forward from seconds. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** A file's attributes, links not followed. */
export interface FileStat {
  readonly type: FileType;
  /** Permission, setuid, setgid and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly mtime: FileTime;
  readonly ctime: FileTime;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** The file's identity, in 32-bit words: file system (major, minor), inode (high, low). Inode numbers may need all 64 bits. */
  readonly identity: readonly [number, number, number, number];
}

type OwnerAndMode = Pick<FileStat, 'mode' | 'uid' | 'gid'>;

const STATX_BASIC = 0x7ff;
const TYPES: Readonly<Record<number, FileType>> = {
  0o01: 'fifo',
  0o02: 'character-device',
  0o04: 'directory',
  0o06: 'block-device',
  0o10: 'file',
  0o12: 'symlink',
  0o14: 'socket',
};

const TYPE_BITS: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

const out = Buffer.alloc(256);
const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
const u32 = (offset: number): number => view.getUint32(offset, true);
const u64 = (offset: number): number => view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
const i64 = (offset: number): number => view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);

/** The attributes of `name` in `directory`, or `undefined` where there is no such name. */
export function lookupStat(directory: number, name: ByteString): FileStat | undefined {
  const result = syscalls().statx(directory, cName(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC, out);
  if (result === ENOENT || result === ENOTDIR) return undefined;
  check(result, 'statx', name);
  return decode();
}

/** The attributes of the open file `fd`. */
export function statOf(fd: number): FileStat {
  check(syscalls().statx(fd, cName(''), AT_EMPTY_PATH, STATX_BASIC, out), 'statx', fd);
  return decode();
}

/** Whether two files are one (hard links of it, or the same name). */
export function sameFile(a: FileStat, b: FileStat): boolean {
  return a.identity.every((word, i) => word === b.identity[i]);
}

/** Whether nothing about the content can have changed between the two looks at one file. */
export function unchanged(a: FileStat, b: FileStat): boolean {
  return a.size === b.size && sameTime(a.ctime, b.ctime) && sameTime(a.mtime, b.mtime) && sameFile(a, b);
}

/** Whether two files have the same owner and mode. */
export function sameOwnerAndMode(a: OwnerAndMode, b: OwnerAndMode): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

/** The bits of `st_mode` that say what a file is. */
export function typeBits(type: FileType): number {
  return TYPE_BITS[type];
}

/** The number of a device, as glibc's makedev packs it. */
export function deviceNumber({
  deviceMajor = 0,
  deviceMinor = 0,
}: {
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
}): number {
  const low = ((deviceMinor & 0xff) | ((deviceMajor & 0xfff) << 8)) >>> 0;
  return low + (deviceMinor >>> 8) * 2 ** 20 + (deviceMajor >>> 12) * 2 ** 44;
}

/** A key for maps by file identity. */
export function identityKey(stat: FileStat): string {
  return stat.identity.join(':');
}

/** Whether `stat` is overlayfs' mark of a removed name: a character device 0:0. */
export function isWhiteout(stat: FileStat): boolean {
  return stat.type === 'character-device' && stat.deviceMajor === 0 && stat.deviceMinor === 0;
}

/** Whether two points in time are one. */
export function sameTime(a: FileTime, b: FileTime): boolean {
  return a.nanoseconds === b.nanoseconds && a.seconds === b.seconds;
}

/** struct statx of <linux/stat.h>; all machines we run on are little-endian. */
function decode(): FileStat {
  const mode = view.getUint16(28, true);
  return {
    type: TYPES[mode >>> 12] ?? 'file',
    mode: mode & 0o7777,
    uid: u32(20),
    gid: u32(24),
    size: u64(40),
    links: u32(16),
    mtime: { seconds: i64(112), nanoseconds: u32(120) },
    ctime: { seconds: i64(96), nanoseconds: u32(104) },
    deviceMajor: u32(128),
    deviceMinor: u32(132),
    identity: [u32(136), u32(140), u32(36), u32(32)],
  };
}
