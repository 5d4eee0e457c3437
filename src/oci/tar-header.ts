import { FormatError } from './format-error.ts';

/** What an entry is; `hardlink` means a further name of an earlier file. */
export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'character-device' | 'block-device';

/** A point in time since 1970; `nanoseconds` counts forward from `seconds`, 0 to 999,999,999. */
export interface TarTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** One entry of a tar archive, as the archive's readers and writers exchange it. */
export interface TarEntry {
  /** Relative to the root, without `./`, without empty, `.` or `..` components and without a final slash; empty for the root directory itself. */
  readonly path: Buffer;
  readonly type: TarEntryType;
  /** Permission, setuid, setgid and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content; 0 unless `type` is `file`. */
  readonly size: number;
  readonly mtime: TarTime;
  /** A symlink's target as it stands; a hard link's target in the form of `path`. */
  readonly linkPath?: Buffer;
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
  /** Values by full name, such as `security.capability`. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** Archives are sequences of blocks of this many bytes. */
export const TAR_BLOCK = 512;

/** The values of one header block. Names are cut to their field, numbers too large for theirs are written as 0: PAX records then say it all. */
export interface HeaderFields {
  readonly typeFlag: number;
  readonly name: Uint8Array;
  readonly prefix?: Uint8Array;
  readonly linkName?: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly seconds: number;
  /** Absent in PAX headers, whose fields Go leaves empty; 0 in those of entries that are no devices. */
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
}

/** A header block as it was read: before PAX records, GNU long names and any check of meaning. */
export interface RawHeader {
  readonly typeFlag: number;
  readonly format: 'v7' | 'ustar' | 'gnu';
  readonly name: Buffer;
  readonly linkName: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly seconds: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** Where a field stands in the block: [offset, width]. */
const Field = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  seconds: [136, 12],
  checksum: [148, 8],
  typeFlag: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  prefix: [345, 155],
  /** Shorter in Schily's format, which has times after it. */
  starPrefix: [345, 131],
  gnuAccessTime: [345, 12],
  starMagic: [508, 4],
} as const satisfies Record<string, readonly [number, number]>;

type FieldPlace = (typeof Field)[keyof typeof Field];

/** The lengths that names may have in a header block, in bytes. */
export const NAME_WIDTH = Field.name[1];
export const PREFIX_WIDTH = Field.prefix[1];

const USTAR = Buffer.from('ustar\x0000', 'latin1');
const GNU = Buffer.from('ustar  \0', 'latin1');
const STAR = Buffer.from('tar\0', 'latin1');
const NO_BYTES = Buffer.alloc(0);
const ZERO = 0x30;
const SPACE = 0x20;
const SLASH = 0x2f;

/** Whether `value` can be written in octal into `field`, which ends in NUL. */
export function fitsOctal(
  value: number,
  field: 'uid' | 'gid' | 'size' | 'seconds' | 'deviceMajor' | 'deviceMinor',
): boolean {
  return value >= 0 && value < 8 ** (Field[field][1] - 1);
}

/** A POSIX ustar header block, byte for byte as Go's archive/tar writes it, with empty user and group names. */
export function encodeHeader(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  writeName(block, Field.name, fields.name);
  writeOctal(block, Field.mode, fields.mode);
  writeOctal(block, Field.uid, fields.uid);
  writeOctal(block, Field.gid, fields.gid);
  writeOctal(block, Field.size, fields.size);
  writeOctal(block, Field.seconds, fields.seconds);
  block[Field.typeFlag[0]] = fields.typeFlag;
  if (fields.linkName !== undefined) writeName(block, Field.linkName, fields.linkName);
  block.set(USTAR, Field.magic[0]);
  if (fields.deviceMajor !== undefined) writeOctal(block, Field.deviceMajor, fields.deviceMajor);
  if (fields.deviceMinor !== undefined) writeOctal(block, Field.deviceMinor, fields.deviceMinor);
  if (fields.prefix !== undefined) writeName(block, Field.prefix, fields.prefix);
  const [at, width] = Field.checksum;
  writeOctal(block, [at, width - 1], checksum(block).unsigned);
  block[at + width - 1] = SPACE;
  return block;
}

/** The fields of a header block in any of the formats that are in use: V7, ustar, Schily's, GNU's. @throws FormatError */
export function decodeHeader(block: Buffer): RawHeader {
  const sum = checksum(block);
  const expected = readNumber(block, Field.checksum);
  if (expected !== sum.unsigned && expected !== sum.signed) throw new FormatError('not a tar header: wrong checksum');
  const format = formatOf(block);
  return {
    typeFlag: block[Field.typeFlag[0]] as number,
    format,
    name: readFullName(block, format),
    linkName: readString(block, Field.linkName),
    mode: readNumber(block, Field.mode),
    uid: readNumber(block, Field.uid),
    gid: readNumber(block, Field.gid),
    size: readNumber(block, Field.size),
    seconds: readNumber(block, Field.seconds),
    deviceMajor: format === 'v7' ? 0 : readNumber(block, Field.deviceMajor),
    deviceMinor: format === 'v7' ? 0 : readNumber(block, Field.deviceMinor),
  };
}

/**
 * The number in a field of `block`: octal digits, or base 256 where the first bit is set.
 * @throws FormatError for other characters and for numbers beyond 2^53.
 */
export function readNumber(block: Buffer, [offset, width]: readonly [number, number]): number {
  const end = offset + width;
  let at = offset;
  if (((block[at] as number) & 0x80) !== 0) return readBinary(block.subarray(offset, end));
  while (at < end && (block[at] === SPACE || block[at] === 0)) at++;
  let value = 0;
  for (; at < end && block[at] !== 0 && block[at] !== SPACE; at++) {
    const digit = (block[at] as number) - ZERO;
    if (digit < 0 || digit > 7) throw new FormatError(`not an octal number in a tar header at byte ${offset}`);
    value = value * 8 + digit;
  }
  if (!Number.isSafeInteger(value)) throw new FormatError(`number too large in a tar header at byte ${offset}`);
  return value;
}

/** Two's complement, most significant byte first; the first bit only marks the encoding. */
function readBinary(field: Buffer): number {
  const negative = ((field[0] as number) & 0x40) !== 0;
  let value = 0;
  for (const [i, raw] of field.entries()) {
    const byte = negative ? ~raw & 0xff : raw;
    value = value * 256 + (i === 0 ? byte & 0x7f : byte);
  }
  if (!Number.isSafeInteger(value)) throw new FormatError('number too large in a tar header');
  return negative ? -value - 1 : value;
}

function formatOf(block: Buffer): RawHeader['format'] {
  const [at] = Field.magic;
  if (block.compare(USTAR, 0, 6, at, at + 6) === 0) return 'ustar';
  return block.compare(GNU, 0, 8, at, at + 8) === 0 ? 'gnu' : 'v7';
}

function readFullName(block: Buffer, format: RawHeader['format']): Buffer {
  const name = readString(block, Field.name);
  const prefix = readPrefix(block, format);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.of(SLASH), name]);
}

function readPrefix(block: Buffer, format: RawHeader['format']): Buffer {
  if (format === 'ustar') {
    const [at, width] = Field.starMagic;
    const star = block.compare(STAR, 0, width, at, at + width) === 0;
    return readString(block, star ? Field.starPrefix : Field.prefix);
  }
  // Go before 1.8 wrote a ustar prefix into GNU headers, where access time and change time belong: layers of that age have it.
  const wroteText = format === 'gnu' && !isNumber(block, Field.gnuAccessTime);
  return wroteText ? readString(block, Field.prefix) : NO_BYTES;
}

function isNumber(block: Buffer, [offset, width]: FieldPlace): boolean {
  if (((block[offset] as number) & 0x80) !== 0) return true;
  return block
    .subarray(offset, offset + width)
    .every((byte) => byte === 0 || byte === SPACE || (byte >= ZERO && byte < ZERO + 8));
}

/** A copy, so that an entry outlives the chunk it was read from. */
function readString(block: Buffer, [offset, width]: FieldPlace): Buffer {
  let end = offset;
  while (end < offset + width && block[end] !== 0) end++;
  return end === offset ? NO_BYTES : Buffer.from(block.subarray(offset, end));
}

function writeName(block: Buffer, [offset, width]: FieldPlace, name: Uint8Array): void {
  block.set(name.length > width ? name.subarray(0, width) : name, offset);
}

function writeOctal(block: Buffer, [offset, width]: readonly [number, number], value: number): void {
  let rest = value >= 0 && value < 8 ** (width - 1) ? value : 0;
  for (let at = offset + width - 2; at >= offset; at--) {
    block[at] = ZERO + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

/** The sum of all bytes, the checksum field counted as spaces. Old tars summed signed bytes. */
function checksum(block: Buffer): { unsigned: number; signed: number } {
  const [at, width] = Field.checksum;
  let unsigned = width * SPACE;
  let high = 0;
  for (let i = 0; i < TAR_BLOCK; i++) {
    if (i === at) i += width;
    const byte = block[i] as number;
    unsigned += byte;
    high += byte >> 7;
  }
  return { unsigned, signed: unsigned - high * 256 };
}
