import { check, cName, ENODATA, EOPNOTSUPP, EPERM, ERANGE, syscalls } from './syscalls.ts';
import { fromBytes, fromText, toText, type ByteString } from './byte-string.ts';

/** A file's extended attributes by full name, in byte order of names. */
export type Xattrs = ReadonlyMap<string, Buffer>;

/** No attributes. */
export const NO_XATTRS: Xattrs = new Map();

const list = Buffer.alloc(65_536);
const value = Buffer.alloc(65_536);

/**
 * The attributes of an open file that belong to its content: none of overlayfs' own, none of the system's (ACLs in `system.`, labels in
 * `security.`), but file capabilities (dockerfile.md 1.9).
 */
export function contentXattrs(fd: number): Xattrs {
  const size = syscalls().flistxattr(fd, list, list.length);
  if (size <= 0) return listed(size, `fd ${fd}`);
  const found = new Map<string, Buffer>();
  for (const name of namesIn(size)) {
    if (!isContent(name)) continue;
    const length = syscalls().fgetxattr(fd, cName(fromText(name)), value, value.length);
    if (length === ENODATA) continue;
    found.set(name, Buffer.from(value.subarray(0, check(length, 'fgetxattr', name))));
  }
  return found;
}

/** Whether `name` belongs to overlayfs, which must never come from an archive nor leave in one. */
export function isOverlayXattr(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.');
}

/** Sets attributes of an open file. Those that this file system or an unprivileged user cannot have are left out. */
export function setXattrs(fd: number, xattrs: Xattrs): void {
  for (const [name, bytes] of xattrs) {
    const result = syscalls().fsetxattr(fd, cName(fromText(name)), bytes, bytes.length, 0);
    if (result === EOPNOTSUPP || result === EPERM) continue;
    check(result, 'fsetxattr', name);
  }
}

/** Which namespace overlayfs keeps its marks in: `trusted`, or `user` inside a user namespace. */
export type OverlayXattrs = 'trusted' | 'user';

/** Marks an open directory of a layer as hiding all that lower layers have in it. */
export function markOpaque(fd: number, namespace: OverlayXattrs): void {
  const name = `${namespace}.overlay.opaque`;
  check(syscalls().fsetxattr(fd, cName(fromText(name)), Buffer.from('y'), 1, 0), 'fsetxattr', name);
}

/** Whether an open directory of a layer hides all that lower layers have in it. */
export function isOpaque(fd: number): boolean {
  return (['trusted', 'user'] as const).some((namespace) => {
    const length = syscalls().fgetxattr(fd, cName(fromText(`${namespace}.overlay.opaque`)), value, value.length);
    return length === 1 && value[0] === 0x79;
  });
}

function listed(size: number, subject: string): Xattrs {
  if (size < 0 && size !== EOPNOTSUPP && size !== EPERM && size !== ERANGE) check(size, 'flistxattr', subject);
  return NO_XATTRS;
}

function namesIn(size: number): string[] {
  const names = fromBytes(list.subarray(0, size)).split('\0') as ByteString[];
  return names.filter((name) => name !== '').toSorted().map(toText);
}

function isContent(name: string): boolean {
  if (isOverlayXattr(name) || name.startsWith('system.')) return false;
  return !name.startsWith('security.') || name === 'security.capability';
}
