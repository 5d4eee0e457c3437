import { FormatError } from './format-error.ts';
import type { RawHeader, TarEntry, TarEntryType } from './tar-header.ts';
import { decodePaxRecords, type PaxRecords, type PaxSparse, refuseGlobalPlacement } from './tar-pax.ts';

/** A header whose content says something about later entries. */
export type ExtensionKind = 'local' | 'global' | 'long-name' | 'long-link';

const SLASH = 0x2f;
const DOT = 0x2e;
/** Chown takes it for "leave as is". */
const NO_ID = 2 ** 32 - 1;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** The extension that a header of this type flag announces; `undefined` for a header of an entry. */
export function extensionKind(typeFlag: number): ExtensionKind | undefined {
  switch (typeFlag) {
    case 0x78:
      return 'local';
    case 0x67:
      return 'global';
    case 0x4c:
      return 'long-name';
    case 0x4b:
      return 'long-link';
    default:
      return undefined;
  }
}

/** Collects the extended headers before an entry's own and composes the entry from all of them. */
export class EntryComposer {
  readonly #maxNameBytes: number;
  #global: PaxRecords = { xattrs: new Map(), sparse: {} };
  #local: PaxRecords | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;

  constructor(maxNameBytes: number) {
    this.#maxNameBytes = maxNameBytes;
  }

  /** Whether an extended header waits for its entry. */
  get pending(): boolean {
    return this.#local !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** What the local PAX header says about a sparse file. */
  get sparse(): PaxSparse | undefined {
    return this.#local?.sparse;
  }

  /** Takes the content of an extended header. @throws FormatError, also for the second of one kind: readers differ about which one counts. */
  extend(kind: ExtensionKind, data: Buffer): void {
    switch (kind) {
      case 'local':
        this.#local = once(this.#local, decodePaxRecords(data));
        break;
      case 'global':
        this.#mergeGlobal(decodePaxRecords(data));
        break;
      case 'long-name':
        this.#longName = once(this.#longName, withoutFinalNul(data));
        break;
      case 'long-link':
        this.#longLink = once(this.#longLink, withoutFinalNul(data));
        break;
    }
  }

  /**
   * The entry that `header` and the extended headers mean, precedence as in Go: GNU long names over local over global PAX records over
   * the header. Its `size` is that of the bytes in the archive.
   * @throws FormatError for names too long, names with NUL or `..`, types without a meaning for images, ids out of range.
   */
  compose(header: RawHeader): TarEntry {
    const local = this.#local;
    const name = this.#longName ?? local?.sparse.name ?? local?.path ?? header.name;
    const type = entryType(header.typeFlag, name);
    const path = cleanPath(this.#checkName(name));
    if (type !== 'directory') notRoot(path);
    const device = type === 'character-device' || type === 'block-device';
    return {
      path,
      type,
      mode: header.mode & 0o7777,
      uid: checkId(local?.uid ?? this.#global.uid ?? header.uid, path),
      gid: checkId(local?.gid ?? this.#global.gid ?? header.gid, path),
      size: type === 'file' ? (local?.size ?? header.size) : 0,
      mtime: local?.mtime ?? this.#global.mtime ?? { seconds: header.seconds, nanoseconds: 0 },
      ...(type === 'symlink' && { linkPath: this.#linkTarget(header, path) }),
      ...(type === 'hardlink' && { linkPath: notRoot(cleanPath(this.#linkTarget(header, path))) }),
      ...(device && { deviceMajor: header.deviceMajor, deviceMinor: header.deviceMinor }),
      xattrs: this.#xattrs(),
    };
  }

  /** Forgets what held for one entry only. */
  reset(): void {
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
  }

  #mergeGlobal(records: PaxRecords): void {
    refuseGlobalPlacement(records);
    this.#global = { ...this.#global, ...records, xattrs: new Map([...this.#global.xattrs, ...records.xattrs]) };
  }

  #checkName(name: Buffer): Buffer {
    if (name.length > this.#maxNameBytes) {
      throw new FormatError(`name in a tar is longer than ${this.#maxNameBytes} bytes: ${quote(name)}`);
    }
    if (name.includes(0)) throw new FormatError(`NUL in a name in a tar: ${quote(name)}`);
    return name;
  }

  #linkTarget(header: RawHeader, path: Buffer): Buffer {
    const target = this.#checkName(this.#longLink ?? this.#local?.linkPath ?? header.linkName);
    if (target.length === 0) throw new FormatError(`link ${quote(path)} in a tar has no target`);
    return target;
  }

  #xattrs(): ReadonlyMap<string, Buffer> {
    const local = this.#local?.xattrs ?? NO_XATTRS;
    return this.#global.xattrs.size === 0 ? local : new Map([...this.#global.xattrs, ...local]);
  }
}

function once<T>(present: T | undefined, value: T): T {
  if (present !== undefined) throw new FormatError('two extended headers of one kind for one entry in a tar');
  return value;
}

/** A copy: `data` is part of a chunk. */
function withoutFinalNul(data: Buffer): Buffer {
  let end = data.length;
  while (end > 0 && data[end - 1] === 0) end--;
  return Buffer.from(data.subarray(0, end));
}

function entryType(typeFlag: number, name: Buffer): TarEntryType {
  const flag = String.fromCharCode(typeFlag);
  switch (flag) {
    case '\0':
      // Before POSIX a slash was all that told directories.
      return name.at(-1) === SLASH ? 'directory' : 'file';
    case '0':
    case '7':
    case 'S':
      return 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '3':
      return 'character-device';
    case '4':
      return 'block-device';
    case '5':
      return 'directory';
    case '6':
      return 'fifo';
    default:
      throw new FormatError(`tar entry ${quote(name)} is of the unsupported type ${JSON.stringify(flag)}`);
  }
}

/** `path` without leading and double slashes and `.` components: what it names below the root. @throws FormatError for `..` */
function cleanPath(path: Buffer): Buffer {
  let clean = true;
  for (let start = 0; start < path.length;) {
    const slash = path.indexOf(SLASH, start);
    const end = slash === -1 ? path.length : slash;
    const length = end - start;
    if (length === 2 && path[start] === DOT && path[start + 1] === DOT) {
      throw new FormatError(`".." in a name in a tar: ${quote(path)}`);
    }
    if (length === 0 || (length === 1 && path[start] === DOT)) clean = false;
    start = end + 1;
  }
  if (clean) return path.at(-1) === SLASH ? path.subarray(0, -1) : path;
  const components = path.toString('latin1').split('/');
  return Buffer.from(components.filter((part) => part !== '' && part !== '.').join('/'), 'latin1');
}

function notRoot(path: Buffer): Buffer {
  if (path.length === 0) throw new FormatError('name of a file in a tar is empty, or that of the root directory');
  return path;
}

function checkId(id: number, path: Buffer): number {
  if (id < 0 || id >= NO_ID) throw new FormatError(`owner ${id} of tar entry ${quote(path)} is out of range`);
  return id;
}

function quote(name: Buffer): string {
  return JSON.stringify(name.subarray(0, 200).toString());
}
