/** One entry of a tar archive. Names are latin1 strings, one character per byte, so that no byte is lost. */
export interface TarFileEntry {
  /** Without leading `./` or `/` and without a final slash; empty for the root. */
  readonly path: string;
  readonly type: TarFileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Buffer;
  readonly mtime: number;
  /** Of symbolic and hard links. */
  readonly link: string;
  /** `major:minor`; empty for what is no device. */
  readonly device: string;
  /** Values in hexadecimal, by full name. */
  readonly xattrs: Readonly<Record<string, string>>;
}

/** What an entry is; `hardlink` means a further name of an earlier file. */
export type TarFileType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

const BLOCK = 512;
const TYPES: Readonly<Record<string, TarFileType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
};

/** Reads a whole tar archive (ustar, PAX, GNU long names), without any code of tsbuild: a comparer must not share its subject's mistakes. */
export function readTarFile(bytes: Buffer): readonly TarFileEntry[] {
  const entries: TarFileEntry[] = [];
  let records: Record<string, string> = {};
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0;) {
    const header = bytes.subarray(at, at + BLOCK);
    const flag = header.toString('latin1', 156, 157);
    const size = flag === '1' || flag === '2' ? 0 : Number(records['size'] ?? numberAt(header, 124, 12));
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (flag === 'x') Object.assign(records, paxRecords(content));
    else if (flag === 'L') records['path'] = textAt(content, 0, content.length);
    else if (flag === 'K') records['linkpath'] = textAt(content, 0, content.length);
    else {
      entries.push(entryOf(header, records, content));
      records = {};
    }
  }
  return entries;
}

function entryOf(header: Buffer, records: Readonly<Record<string, string>>, content: Buffer): TarFileEntry {
  const flag = header.toString('latin1', 156, 157);
  const type = TYPES[flag];
  if (type === undefined) throw new Error(`tar entry of type ${JSON.stringify(flag)}`);
  const ustar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? textAt(header, 345, 155) : '';
  const name = `${prefix}${prefix === '' ? '' : '/'}${textAt(header, 0, 100)}`;
  const link = records['linkpath'] ?? textAt(header, 157, 100);
  const xattrs = Object.entries(records).filter(([key]) => key.startsWith(XATTR));
  return {
    path: relative(records['path'] ?? name),
    type,
    mode: numberAt(header, 100, 8) & 0o7777,
    uid: Number(records['uid'] ?? numberAt(header, 108, 8)),
    gid: Number(records['gid'] ?? numberAt(header, 116, 8)),
    content,
    mtime: Number(records['mtime'] ?? numberAt(header, 136, 12)),
    link: type === 'hardlink' ? relative(link) : link,
    device: type === 'character' || type === 'block' ? `${numberAt(header, 329, 8)}:${numberAt(header, 337, 8)}` : '',
    xattrs: Object.fromEntries(
      xattrs.map(([key, value]) => [key.slice(XATTR.length), Buffer.from(value, 'latin1').toString('hex')]),
    ),
  };
}

const XATTR = 'SCHILY.xattr.';

function relative(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function textAt(bytes: Buffer, start: number, length: number): string {
  const end = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, end === -1 || end > start + length ? start + length : end);
}

/** Octal digits, or base 256 where the first bit is set. */
function numberAt(header: Buffer, start: number, length: number): number {
  const field = header.subarray(start, start + length);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(BigInt(`0x${field.subarray(1).toString('hex')}`));
  const text = textAt(field, 0, length).trim();
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function paxRecords(content: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(0x20, at);
    const end = at + Number(content.toString('latin1', at, space));
    const text = content.toString('latin1', space + 1, end - 1);
    records[text.slice(0, text.indexOf('='))] = text.slice(text.indexOf('=') + 1);
    at = end;
  }
  return records;
}
