import { check, cName, ENODATA, EOPNOTSUPP, EPERM, ERANGE, syscalls } from './syscalls.ts';
import { insideUserNamespace } from './user-namespace.ts';
import { fromBytes, fromText, toText, type ByteString } from './byte-string.ts';

/** A file's extended attributes by full name, in byte order of names. */
export type Xattrs = ReadonlyMap<string, Buffer>;

/** No attributes. */
export const NO_XATTRS: Xattrs = new Map();

const CAPABILITY = 'security.capability';

/** The kernel allocates and clears as much as it is offered, so the first offer is small: nearly no file has any. */
const few = Buffer.alloc(256);
const list = Buffer.alloc(65_536);
const value = Buffer.alloc(65_536);

/**
 * The attributes of an open file that belong to its content: none of overlayfs' own, none of the system's (ACLs in `system.`, labels in
 * `security.`), but file capabilities (dockerfile.md 1.9). `path` is for messages.
 */
export function contentXattrs(fd: number, path?: ByteString): Xattrs {
  const first = syscalls().flistxattr(fd, few, few.length);
  if (first === 0) return NO_XATTRS;
  const size = first > 0 ? first : listAll(fd, first);
  const found = new Map<string, Buffer>();
  for (const name of namesIn(first > 0 ? few : list, size)) {
    if (!isContent(name)) continue;
    const length = syscalls().fgetxattr(fd, cName(fromText(name)), value, value.length);
    if (length === ENODATA) continue;
    found.set(name, Buffer.from(value.subarray(0, check(length, 'fgetxattr', path ?? name))));
  }
  return found;
}

/** The attributes that a layer's tar holds: file capabilities. As with BuildKit and Docker, all others stay on the machine that builds. */
export function layerXattrs(fd: number): Xattrs {
  const capability = fileCapability(fd);
  return capability === undefined ? NO_XATTRS : new Map([[CAPABILITY, capability]]);
}

/** Whether `name` is among what `layerXattrs` gives. */
export function isLayerXattr(name: string): boolean {
  return name === CAPABILITY;
}

/** The capabilities of an open file, as the kernel keeps them. */
export function fileCapability(fd: number): Buffer | undefined {
  const length = syscalls().fgetxattr(fd, cName(fromText(CAPABILITY)), few, few.length);
  if (length === ENODATA || length === EOPNOTSUPP) return undefined;
  return Buffer.from(few.subarray(0, check(length, 'fgetxattr', CAPABILITY)));
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

/**
 * Whether an open directory of a layer hides all that lower layers have in it. Only our own namespace counts, as for overlayfs: where that is
 * `trusted`, a step may write into `user` what it likes; where it is `user`, overlayfs keeps steps from doing so.
 */
export function isOpaque(fd: number): boolean {
  marks ??= overlayXattrs();
  const length = syscalls().fgetxattr(fd, cName(fromText(`${marks}.overlay.opaque`)), few, few.length);
  return length === 1 && few[0] === 0x79;
}

let marks: OverlayXattrs | undefined;

/** Where overlayfs keeps its marks for this process. */
export function overlayXattrs(): OverlayXattrs {
  return insideUserNamespace() ? 'user' : 'trusted';
}

/** The length of the whole list, where a small buffer did not do; 0 on file systems without attributes. */
function listAll(fd: number, failure: number): number {
  if (failure === EOPNOTSUPP || failure === EPERM) return 0;
  if (failure !== ERANGE) check(failure, 'flistxattr', fd);
  return check(syscalls().flistxattr(fd, list, list.length), 'flistxattr', fd);
}

function namesIn(buffer: Buffer, size: number): string[] {
  const names = fromBytes(buffer.subarray(0, size)).split('\0') as ByteString[];
  return names
    .filter((name) => name !== '')
    .toSorted()
    .map(toText);
}

function isContent(name: string): boolean {
  if (isOverlayXattr(name) || name.startsWith('system.')) return false;
  return !name.startsWith('security.') || name === CAPABILITY;
}
