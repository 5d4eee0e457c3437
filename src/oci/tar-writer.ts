import { isUtf8 } from 'node:buffer';
import type { Pack } from 'tar-stream';
import { FormatError } from './format-error.ts';
import {
  encodeHeader,
  fitsOctal,
  type HeaderFields,
  NAME_WIDTH,
  PREFIX_WIDTH,
  TAR_BLOCK,
  type TarEntry,
  type TarEntryType,
} from './tar-header.ts';
import { encodePaxRecord, formatPaxTime } from './tar-pax.ts';

/** How `encodeTarEntry` treats what tar archives commonly lack. */
export interface TarEncoding {
  /** `drop` (the default) writes whole seconds, as image builders do; `keep` costs a PAX header where nanoseconds are not 0. */
  readonly nanoseconds?: 'drop' | 'keep';
}

/** An entry to pack; `body` yields exactly `entry.size` bytes and may be left out where that is 0. */
export interface TarItem {
  readonly entry: TarEntry;
  readonly body?: AsyncIterable<Uint8Array>;
}

/** The two empty blocks that end an archive. */
export const TAR_END: Buffer = Buffer.alloc(2 * TAR_BLOCK);

/** The largest id in tar-stream's six octal digits; it cuts larger ones. */
const MAX_PLAIN_ID = 0o777777;
/** tar-stream keeps times in 32 bits with a sign. */
const MAX_PLAIN_SECONDS = 2 ** 31 - 1;
const ZEROS = Buffer.alloc(TAR_BLOCK);
const SLASH = 0x2f;
const ROOT = Buffer.from('./');
const NO_BYTES = Buffer.alloc(0);
const SLASH_BYTES = Buffer.from('/');
const PAX_DIRECTORY = Buffer.from('PaxHeaders.0');
const PAX_FLAG = 0x78;
const TYPE_FLAGS: Readonly<Record<TarEntryType, number>> = {
  file: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  'character-device': 0x33,
  'block-device': 0x34,
  directory: 0x35,
  fifo: 0x36,
};

/**
 * The header of `entry`; `size` bytes of content and `tarPadding(size)` follow it. A ustar header, and before it a PAX header only
 * where ustar has no room: the bytes are those of Go's archive/tar, so that layers equal those of other builders.
 * @throws FormatError for what no tar can hold: NUL in a name, `=` in an xattr's name, device numbers beyond 2^21.
 */
export function encodeTarEntry(entry: TarEntry, encoding: TarEncoding = {}): Buffer {
  checkEntry(entry);
  const name = wireName(entry);
  const split = splitName(name);
  const needed = paxRecords(entry, split === undefined ? name : undefined, encoding);
  if (needed.length === 0 && split !== undefined) return encodeHeader(headerFields(entry, split));
  // Beside a PAX header a name is not split: whatever does not fit as it is becomes a record.
  const isShort = split !== undefined && split.prefix === undefined;
  const data = Buffer.concat(isShort ? needed : paxRecords(entry, name, encoding));
  const paxHeader = encodeHeader({
    typeFlag: PAX_FLAG,
    name: paxHeaderName(name),
    mode: 0,
    uid: 0,
    gid: 0,
    size: data.length,
    seconds: 0,
  });
  const header = encodeHeader(headerFields(entry, { name: cutName(name) }));
  return Buffer.concat([paxHeader, data, tarPadding(data.length), header]);
}

/** The zeros that follow `size` bytes of content, up to the next block. */
export function tarPadding(size: number): Buffer {
  const over = size % TAR_BLOCK;
  return over === 0 ? ZEROS.subarray(0, 0) : ZEROS.subarray(over);
}

/**
 * A whole archive of plain entries, as OCI layouts and docker archives are made of, streamed with tar-stream. Layers take
 * `encodeTarEntry` instead, which knows the whole of tar.
 * @throws FormatError for entries that tar-stream would change: names that are not UTF-8, xattrs, devices, mode 0, ids over 18 bits,
 * times before 1970 or after 2038; and for a body of another size than its entry's.
 */
export async function* packTar(items: AsyncIterable<TarItem>): AsyncGenerator<Uint8Array, void> {
  const { pack } = await import('./tar-stream.ts');
  const archive = pack();
  const writing = packItems(archive, items).catch((error: unknown) => {
    archive.destroy(error as Error);
  });
  try {
    for await (const chunk of archive) yield chunk as Uint8Array;
  } finally {
    archive.destroy();
    await writing;
  }
}

async function packItems(archive: Pack, items: AsyncIterable<TarItem>): Promise<void> {
  for await (const item of items) {
    checkPlain(item.entry);
    const sink = archive.entry(tarStreamHeader(item.entry));
    // The archive has the same error, and reports it.
    sink.on('error', () => {});
    await packBody(sink, item);
    if (archive.destroyed) return;
  }
  archive.finalize();
}

async function packBody(sink: ReturnType<Pack['entry']>, { entry, body }: TarItem): Promise<void> {
  let written = 0;
  for await (const chunk of body ?? []) {
    written += chunk.length;
    if (sink.destroyed || written > entry.size) break;
    if (!sink.write(chunk)) await eventOf(sink, 'drain');
  }
  if (sink.destroyed) return;
  if (written !== entry.size) {
    throw new FormatError(`tar entry ${shown(entry)} of ${entry.size} bytes has ${written} bytes of content or more`);
  }
  sink.end(null);
  if (entry.type === 'file') await eventOf(sink, 'finish');
}

/** Waits for `event`, or for the end of the stream. */
async function eventOf(sink: ReturnType<Pack['entry']>, event: 'drain' | 'finish'): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      sink.off(event, done);
      sink.off('close', done);
      resolve();
    };
    sink.on(event, done);
    sink.on('close', done);
  });
}

function checkPlain(entry: TarEntry): void {
  checkEntry(entry);
  const { path, type, linkPath, mode, uid, gid, mtime, xattrs } = entry;
  const plainType = type === 'file' || type === 'directory' || type === 'symlink' || type === 'hardlink';
  const plainNames = isUtf8(path) && (linkPath === undefined || isUtf8(linkPath));
  const plainNumbers = mode !== 0 && uid <= MAX_PLAIN_ID && gid <= MAX_PLAIN_ID;
  const plainTime = mtime.seconds >= 0 && mtime.seconds <= MAX_PLAIN_SECONDS;
  if (!plainType || !plainNames || !plainNumbers || !plainTime || xattrs.size > 0) {
    throw new FormatError(`tar entry ${shown(entry)} is not plain enough for an archive of files`);
  }
}

function tarStreamHeader(entry: TarEntry): Parameters<Pack['entry']>[0] {
  return {
    name: wireName(entry).toString(),
    type: entry.type === 'hardlink' ? 'link' : entry.type,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.type === 'file' ? entry.size : 0,
    mtime: new Date(entry.mtime.seconds * 1000),
    ...(entry.linkPath !== undefined && { linkname: entry.linkPath.toString() }),
  };
}

function checkEntry(entry: TarEntry): void {
  const { path, type, linkPath, xattrs, deviceMajor = 0, deviceMinor = 0 } = entry;
  if (path.includes(0) || linkPath?.includes(0) === true)
    throw new FormatError(`NUL in a name of tar entry ${shown(entry)}`);
  if (path.length === 0 && type !== 'directory') throw new FormatError(`tar entry without a name`);
  if ((type === 'symlink' || type === 'hardlink') !== (linkPath !== undefined)) {
    throw new FormatError(
      `${type} ${shown(entry)} in a tar ${linkPath === undefined ? 'lacks a' : 'has a'} link target`,
    );
  }
  if (!fitsOctal(deviceMajor, 'deviceMajor') || !fitsOctal(deviceMinor, 'deviceMinor')) {
    throw new FormatError(`device number of tar entry ${shown(entry)} is too large: ${deviceMajor}:${deviceMinor}`);
  }
  for (const key of xattrs.keys()) {
    if (key === '' || /[=\0]/.test(key)) {
      throw new FormatError(`extended attribute ${JSON.stringify(key)} of ${shown(entry)} has no place in a tar`);
    }
  }
}

function shown({ path }: TarEntry): string {
  return JSON.stringify(path.toString());
}

function wireName({ path, type }: TarEntry): Buffer {
  if (type !== 'directory') return path;
  return path.length === 0 ? ROOT : Buffer.concat([path, SLASH_BYTES]);
}

function headerFields(entry: TarEntry, { name, prefix }: { name: Uint8Array; prefix?: Uint8Array }): HeaderFields {
  return {
    typeFlag: TYPE_FLAGS[entry.type],
    name,
    ...(prefix !== undefined && { prefix }),
    ...(entry.linkPath !== undefined && { linkName: ascii(entry.linkPath) }),
    mode: entry.mode & 0o7777,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.type === 'file' ? entry.size : 0,
    seconds: entry.mtime.seconds,
    deviceMajor: entry.deviceMajor ?? 0,
    deviceMinor: entry.deviceMinor ?? 0,
  };
}

/** The records that `entry` needs, in the order of their keys; `longName` is a name without room in the header. */
function paxRecords(
  entry: TarEntry,
  longName: Uint8Array | undefined,
  { nanoseconds = 'drop' }: TarEncoding,
): Buffer[] {
  const records: Buffer[] = [];
  for (const key of [...entry.xattrs.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    records.push(encodePaxRecord(`SCHILY.xattr.${key}`, entry.xattrs.get(key) ?? ''));
  }
  const { gid, linkPath, mtime, size, uid } = entry;
  if (!fitsOctal(gid, 'gid')) records.push(encodePaxRecord('gid', String(gid)));
  if (linkPath !== undefined && (linkPath.length > NAME_WIDTH || !isAscii(linkPath))) {
    records.push(encodePaxRecord('linkpath', linkPath));
  }
  const fraction = nanoseconds === 'keep' ? mtime.nanoseconds : 0;
  if (fraction !== 0 || !fitsOctal(mtime.seconds, 'seconds')) {
    records.push(encodePaxRecord('mtime', formatPaxTime({ seconds: mtime.seconds, nanoseconds: fraction })));
  }
  if (longName !== undefined) records.push(encodePaxRecord('path', longName));
  if (entry.type === 'file' && !fitsOctal(size, 'size')) records.push(encodePaxRecord('size', String(size)));
  if (!fitsOctal(uid, 'uid')) records.push(encodePaxRecord('uid', String(uid)));
  return records;
}

/** `name` as the header's two fields hold it, or `undefined` where only a PAX record can. Cuts as far right as possible, as Go does. */
function splitName(name: Buffer): { name: Buffer; prefix?: Buffer } | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= NAME_WIDTH) return { name };
  const last = Math.min(name.length - 2, PREFIX_WIDTH);
  const slash = name.lastIndexOf(SLASH, last);
  if (slash <= 0 || name.length - slash - 1 > NAME_WIDTH) return undefined;
  return { name: name.subarray(slash + 1), prefix: name.subarray(0, slash) };
}

/** What the header says where a PAX record has the full name. Readers without PAX must not take a cut file name for a directory. */
function cutName(name: Buffer): Uint8Array {
  const text = ascii(name);
  if (text.length <= NAME_WIDTH) return text;
  return trimSlashes(text.subarray(0, NAME_WIDTH));
}

/** Where Go puts it: into a directory of that name beside the entry. */
function paxHeaderName(name: Buffer): Uint8Array {
  const file = name.lastIndexOf(SLASH) + 1;
  const directory = name.equals(ROOT) ? NO_BYTES : name.subarray(0, file);
  const separator = file === name.length ? NO_BYTES : SLASH_BYTES;
  return trimSlashes(
    ascii(Buffer.concat([directory, PAX_DIRECTORY, separator, name.subarray(file)])).subarray(0, NAME_WIDTH),
  );
}

function trimSlashes(name: Buffer): Buffer {
  let end = name.length;
  while (end > 0 && name[end - 1] === SLASH) end--;
  return name.subarray(0, end);
}

function isAscii(name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if ((name[i] as number) >= 0x80) return false;
  return true;
}

/** `name` without the bytes that are not ASCII. */
function ascii(name: Buffer): Buffer {
  if (isAscii(name)) return name;
  const kept = Buffer.alloc(name.length);
  let length = 0;
  for (const byte of name) if (byte < 0x80) kept[length++] = byte;
  return kept.subarray(0, length);
}
