import { createRequire } from 'node:module';
import type * as KoffiModule from 'koffi';
import type { ByteString } from './byte-string.ts';

type Koffi = typeof KoffiModule;

/** A system call that failed; `code` is the errno's name, as Node's own errors have it. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  /** The name or descriptor that the call was about. */
  readonly subject: string;

  constructor(syscall: string, errno: number, subject: string) {
    const code = codeOf(errno);
    super(`${code}: ${syscall} ${JSON.stringify(subject)}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.subject = subject;
  }
}

/** Flags and numbers of <fcntl.h>, <sys/stat.h>, <sys/mount.h> and <sys/file.h>; the same on all 64-bit Linux that we ship for. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
/** These two differ between x86 and Arm. */
export const O_DIRECTORY = process.arch === 'arm64' ? 0o40000 : 0o200000;
export const O_NOFOLLOW = process.arch === 'arm64' ? 0o100000 : 0o400000;
export const O_CLOEXEC = 0o2000000;
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const CLONE_NEWNS = 0x20000;
export const MS_REC = 0x4000;
export const MS_PRIVATE = 0x40000;
export const MNT_DETACH = 2;

/** The errnos that callers branch on, as the negative results of the calls below. */
export const ENOENT = -2;
export const EPERM = -1;
export const EXDEV = -18;
export const ENOTDIR = -20;
export const EINVAL = -22;
export const ERANGE = -34;
export const ENOSYS = -38;
export const ELOOP = -40;
export const ENODATA = -61;
export const EOPNOTSUPP = -95;
export const EAGAIN = -11;

/**
 * What the kernel offers and Node does not, by the names of the C library. Every call gives its result, or the negative errno; `check`
 * turns the latter into a `SystemError`. Names and paths are C strings made by `cName`. All are synchronous and take about 1 µs.
 */
export interface Syscalls {
  openat(directory: number, name: Uint8Array, flags: number, mode: number): number;
  close(fd: number): number;
  statx(directory: number, name: Uint8Array, flags: number, mask: number, out: Uint8Array): number;
  lseek(fd: number, offset: number, whence: number): number;
  getdents(directory: number, out: Uint8Array, size: number): number;
  readlinkat(directory: number, name: Uint8Array, out: Uint8Array, size: number): number;
  mkdirat(directory: number, name: Uint8Array, mode: number): number;
  mknodat(directory: number, name: Uint8Array, mode: number, device: number): number;
  symlinkat(target: Uint8Array, directory: number, name: Uint8Array): number;
  linkat(from: number, name: Uint8Array, to: number, newName: Uint8Array, flags: number): number;
  unlinkat(directory: number, name: Uint8Array, flags: number): number;
  renameat(from: number, name: Uint8Array, to: number, newName: Uint8Array): number;
  fchownat(directory: number, name: Uint8Array, uid: number, gid: number, flags: number): number;
  fchown(fd: number, uid: number, gid: number): number;
  fchmod(fd: number, mode: number): number;
  fchmodat(directory: number, name: Uint8Array, mode: number, flags: number): number;
  utimensat(directory: number, name: Uint8Array, times: Uint8Array, flags: number): number;
  futimens(fd: number, times: Uint8Array): number;
  flistxattr(fd: number, out: Uint8Array, size: number): number;
  fgetxattr(fd: number, name: Uint8Array, out: Uint8Array, size: number): number;
  fsetxattr(fd: number, name: Uint8Array, value: Uint8Array, size: number, flags: number): number;
  copyFileRange(from: number, to: number, size: number): number;
  flock(fd: number, operation: number): number;
  syncfs(fd: number): number;
  /** As `syncfs`, on a thread of its own. */
  syncfsAside(fd: number): Promise<number>;
  unshare(flags: number): number;
  socket(family: number, type: number, protocol: number): number;
  send(socket: number, message: Uint8Array, size: number, flags: number): number;
  recv(socket: number, out: Uint8Array, size: number, flags: number): number;
  mount(source: Uint8Array, target: Uint8Array, type: Uint8Array, flags: number, data: Uint8Array): number;
  umount2(target: Uint8Array, flags: number): number;
}

let loaded: Syscalls | undefined;

/** The calls; the foreign-function library is loaded at first use (8 ms). */
export function syscalls(): Syscalls {
  loaded ??= load();
  return loaded;
}

/** `result`, unless it is a negative errno: then throws. */
export function check(result: number, syscall: string, subject: string | number): number {
  if (result < 0) throw new SystemError(syscall, -result, typeof subject === 'number' ? `fd ${subject}` : subject);
  return result;
}

const scratch = [Buffer.alloc(8192), Buffer.alloc(8192)] as const;

/** `bytes` as a C string in one of two buffers that the next call with the same slot reuses. @throws SystemError ENAMETOOLONG, EINVAL (NUL inside) */
export function cName(bytes: ByteString | '', slot: 0 | 1 = 0): Buffer {
  const buffer = scratch[slot];
  if (bytes.length >= buffer.length) throw new SystemError('path', 36, bytes.slice(0, 100));
  if (bytes.includes('\0')) throw new SystemError('path', 22, bytes);
  buffer.write(bytes, 0, 'latin1');
  buffer[bytes.length] = 0;
  return buffer;
}

type Special = 'getdents' | 'copyFileRange' | 'syncfsAside';

/** In the C library these are called as here. */
const PROTOTYPES: Readonly<Record<Exclude<keyof Syscalls, Special>, string>> = {
  openat: 'int openat(int, const void *, int, unsigned int)',
  close: 'int close(int)',
  statx: 'int statx(int, const void *, int, unsigned int, void *)',
  lseek: 'long lseek(int, long, int)',
  readlinkat: 'long readlinkat(int, const void *, void *, size_t)',
  mkdirat: 'int mkdirat(int, const void *, unsigned int)',
  mknodat: 'int mknodat(int, const void *, unsigned int, unsigned long)',
  symlinkat: 'int symlinkat(const void *, int, const void *)',
  linkat: 'int linkat(int, const void *, int, const void *, int)',
  unlinkat: 'int unlinkat(int, const void *, int)',
  renameat: 'int renameat(int, const void *, int, const void *)',
  fchownat: 'int fchownat(int, const void *, unsigned int, unsigned int, int)',
  fchown: 'int fchown(int, unsigned int, unsigned int)',
  fchmod: 'int fchmod(int, unsigned int)',
  fchmodat: 'int fchmodat(int, const void *, unsigned int, int)',
  utimensat: 'int utimensat(int, const void *, const void *, int)',
  futimens: 'int futimens(int, const void *)',
  flistxattr: 'long flistxattr(int, void *, size_t)',
  fgetxattr: 'long fgetxattr(int, const void *, void *, size_t)',
  fsetxattr: 'int fsetxattr(int, const void *, const void *, size_t, int)',
  flock: 'int flock(int, int)',
  syncfs: 'int syncfs(int)',
  unshare: 'int unshare(int)',
  socket: 'int socket(int, int, int)',
  send: 'long send(int, const void *, size_t, int)',
  recv: 'long recv(int, void *, size_t, int)',
  mount: 'int mount(const void *, const void *, const void *, unsigned long, const void *)',
  umount2: 'int umount2(const void *, int)',
};
/** glibc has no getdents64 before 2.30, musl none by this name. */
const SYS_GETDENTS64 = process.arch === 'arm64' ? 61 : 217;

type Raw = (...args: readonly unknown[]) => number;

function load(): Syscalls {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  // The program itself: Node is linked to the C library that this system has, glibc or musl.
  const library = koffi.load(null);
  const bind = (prototype: string): Raw => {
    const native = library.func(prototype) as Raw;
    return (...args) => {
      const result = native(...args);
      return result === -1 ? -koffi.errno() : result;
    };
  };
  const direct = Object.fromEntries(Object.entries(PROTOTYPES).map(([name, prototype]) => [name, bind(prototype)]));
  const syscall = bind('long syscall(long, int, void *, size_t)');
  const copyRange = bind('long copy_file_range(int, void *, int, void *, size_t, unsigned int)');
  return {
    ...(direct as unknown as Omit<Syscalls, Special>),
    getdents: (directory, out, size) => syscall(SYS_GETDENTS64, directory, out, size),
    copyFileRange: (from, to, size) => copyRange(from, null, to, null, size, 0),
    syncfsAside: (fd) =>
      new Promise((resolve, reject) => {
        const settle = (error: Error | null, result: number): void =>
          error === null ? resolve(result) : reject(error);
        library.func(PROTOTYPES.syncfs).async(fd, settle);
      }),
  };
}

const CODES: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  5: 'EIO',
  6: 'ENXIO',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  16: 'EBUSY',
  17: 'EEXIST',
  18: 'EXDEV',
  20: 'ENOTDIR',
  21: 'EISDIR',
  22: 'EINVAL',
  23: 'ENFILE',
  24: 'EMFILE',
  27: 'EFBIG',
  28: 'ENOSPC',
  30: 'EROFS',
  31: 'EMLINK',
  34: 'ERANGE',
  36: 'ENAMETOOLONG',
  38: 'ENOSYS',
  39: 'ENOTEMPTY',
  40: 'ELOOP',
  61: 'ENODATA',
  75: 'EOVERFLOW',
  95: 'ENOTSUP',
  122: 'EDQUOT',
};

function codeOf(errno: number): string {
  return CODES[errno] ?? `ERRNO_${errno}`;
}
