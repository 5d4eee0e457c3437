import { FormatError } from './format-error.ts';
import type { TarTime } from './tar-header.ts';

/** What the records of a PAX extended header say (POSIX pax, with Schily's xattrs and GNU's sparse files); members stand for records present. */
export interface PaxRecords {
  path?: Buffer;
  linkPath?: Buffer;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: TarTime;
  readonly xattrs: Map<string, Buffer>;
  readonly sparse: PaxSparse;
}

/** The `GNU.sparse.` records; which of them are there depends on the version of the format. */
export interface PaxSparse {
  major?: number;
  minor?: number;
  name?: Buffer;
  realSize?: number;
  /** Offsets and lengths in turn (versions 0.0 and 0.1). */
  map?: number[];
}

const XATTR = 'SCHILY.xattr.';
const SPARSE = 'GNU.sparse.';
const SPACE = 0x20;
const NEWLINE = 0x0a;
const NEWLINE_BYTES = Buffer.of(NEWLINE);
const EQUALS = 0x3d;

/** One record, `<length> <key>=<value>\n`, where the length counts its own digits. */
export function encodePaxRecord(key: string, value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const rest = Buffer.byteLength(key) + bytes.length + ' =\n'.length;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), bytes, NEWLINE_BYTES]);
}

/** Seconds with as many decimals as `time` needs; before 1970 the sign stands for the whole. */
export function formatPaxTime({ seconds, nanoseconds }: TarTime): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, fraction] = seconds < 0 ? [-(seconds + 1), 1e9 - nanoseconds] : [seconds, nanoseconds];
  return `${seconds < 0 ? '-' : ''}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}

/** The records in `data`, the body of an extended header. A record with an empty value counts as absent, except an xattr. @throws FormatError */
export function decodePaxRecords(data: Buffer): PaxRecords {
  const records: PaxRecords = { xattrs: new Map(), sparse: {} };
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(SPACE, at);
    const length = space === -1 || space - at > 9 ? NaN : parseCount(data.toString('latin1', at, space), 'length');
    const end = at + length;
    const equals = data.indexOf(EQUALS, space);
    if (!(end <= data.length) || data[end - 1] !== NEWLINE || equals === -1 || equals >= end - 1) {
      throw new FormatError('malformed record in a PAX header');
    }
    addRecord(records, data.toString('utf8', space + 1, equals), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/**
 * Global records as they hold for all later entries. A name, a size or a sparse map that would apply to every entry makes no sense
 * but to readers that disagree about it.
 * @throws FormatError
 */
export function refuseGlobalPlacement(records: PaxRecords): void {
  const { path, linkPath, size, sparse } = records;
  if (path !== undefined || linkPath !== undefined || size !== undefined || Object.keys(sparse).length > 0) {
    throw new FormatError('global PAX header sets the name, link or size of all entries');
  }
}

function addRecord(records: PaxRecords, key: string, value: Buffer): void {
  if (key.startsWith(XATTR)) addXattr(records, key.slice(XATTR.length), value);
  else if (key.startsWith(SPARSE)) addSparse(records.sparse, key.slice(SPARSE.length), value);
  else if (value.length > 0) addField(records, key, value);
}

function addField(records: PaxRecords, key: string, value: Buffer): void {
  switch (key) {
    case 'path':
      records.path = Buffer.from(value);
      break;
    case 'linkpath':
      records.linkPath = Buffer.from(value);
      break;
    case 'size':
    case 'uid':
    case 'gid':
      records[key] = parseCount(value.toString('latin1'), key);
      break;
    case 'mtime':
      records.mtime = parseTime(value.toString('latin1'));
      break;
    default:
    // Access times, user names, comments and other vendors' records have no place in a layer.
  }
}

function addXattr(records: PaxRecords, name: string, value: Buffer): void {
  if (name === '' || name.includes('\0') || name.includes('\uFFFD')) {
    throw new FormatError('name of an extended attribute in a PAX header is not valid UTF-8 text');
  }
  records.xattrs.set(name, Buffer.from(value));
}

function addSparse(sparse: PaxSparse, key: string, value: Buffer): void {
  const text = value.toString('latin1');
  switch (key) {
    case 'major':
    case 'minor':
      sparse[key] = parseCount(text, SPARSE + key);
      break;
    case 'name':
      sparse.name = Buffer.from(value);
      break;
    case 'size':
    case 'realsize':
      sparse.realSize = parseCount(text, SPARSE + key);
      break;
    case 'map':
      sparse.map = text.split(',').map((number) => parseCount(number, SPARSE + key));
      break;
    case 'offset':
    case 'numbytes':
      (sparse.map ??= []).push(parseCount(text, SPARSE + key));
      break;
    default:
    // `numblocks` is implied by the map.
  }
}

function parseCount(text: string, key: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value))
    throw new FormatError(`not a number in a PAX header: ${key}=${JSON.stringify(text.slice(0, 32))}`);
  return value;
}

function parseTime(text: string): TarTime {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null) throw new FormatError(`not a time in a PAX header: ${JSON.stringify(text.slice(0, 32))}`);
  const [, sign, whole, fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
