import { execFileSync } from 'node:child_process';
import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../src/oci/format-error.ts';
import type { TarEntry } from '../../src/oci/tar-header.ts';
import { encodeTarEntry, packTar, TAR_END, type TarItem, tarPadding } from '../../src/oci/tar-writer.ts';
import { archive, file, fileEntry, parse } from './tar-entries.ts';

function encodeText(entry: TarEntry): string {
  return encodeTarEntry(entry).toString('latin1');
}

describe('encodeTarEntry', () => {
  it('header: is byte for byte what Go writes', () => {
    const block = encodeTarEntry(fileEntry('etc/passwd', { mode: 0o100644, uid: 1, gid: 0o7777777, size: 1234 }));
    expect(block).toHaveLength(512);
    const text = block.toString('latin1');
    expect(text.slice(0, 100)).toBe('etc/passwd'.padEnd(100, '\0'));
    expect(text.slice(100, 157)).toBe('0000644\x000000001\x007777777\x0000000002322\x0014524770400\x00011327\0 0');
    expect(text.slice(257, 265)).toBe('ustar\x0000');
    expect(text.slice(265, 329)).toBe('\0'.repeat(64));
    expect(text.slice(329, 345)).toBe('0000000\x000000000\0');
    expect(text.slice(345)).toBe('\0'.repeat(167));
  });

  it('directories: end with a slash, the root is ./', () => {
    expect(encodeText(fileEntry('a/b', { type: 'directory' })).slice(0, 5)).toBe('a/b/\0');
    expect(encodeText(fileEntry('', { type: 'directory' })).slice(0, 3)).toBe('./\0');
  });

  it('names: up to 100 bytes fit, longer ones are split at a slash, others take a PAX record', () => {
    expect(encodeTarEntry(fileEntry('x'.repeat(100)))).toHaveLength(512);
    expect(encodeTarEntry(fileEntry('x'.repeat(101)))).toHaveLength(3 * 512);
    const split = encodeText(fileEntry(`${'p'.repeat(155)}/${'n'.repeat(100)}`));
    expect(split).toHaveLength(512);
    expect(split.slice(0, 100)).toBe('n'.repeat(100));
    expect(split.slice(345, 500)).toBe('p'.repeat(155));
    expect(encodeTarEntry(fileEntry(`${'p'.repeat(156)}/${'n'.repeat(99)}`))).toHaveLength(3 * 512);
    expect(encodeTarEntry(fileEntry(`${'p'.repeat(10)}/${'n'.repeat(101)}`))).toHaveLength(3 * 512);
    expect(encodeTarEntry(fileEntry(`${'p'.repeat(50)}/${'n'.repeat(99)}`, { type: 'directory' }))).toHaveLength(512);
    expect(encodeTarEntry(fileEntry(`${'p'.repeat(50)}/${'n'.repeat(100)}`, { type: 'directory' }))).toHaveLength(
      3 * 512,
    );
  });

  it('names: beside another PAX record a long one is a record too, not split', () => {
    const path = `${'p'.repeat(60)}/${'n'.repeat(60)}`;
    const xattrs = new Map([['user.k', Buffer.from('v')]]);
    expect(encodeText(fileEntry(path))).toHaveLength(512);
    expect(encodeText(fileEntry(path, { xattrs }))).toContain(`131 path=${path}\n`);
    expect(encodeText(fileEntry('short', { xattrs }))).not.toContain('path=');
  });

  it('PAX header: has the name and the records that Go writes', () => {
    const text = encodeText(
      fileEntry('dir/naïve', { xattrs: new Map([['security.capability', Buffer.from([0, 0xff, 0x0a])]]) }),
    );
    expect(text.slice(0, 100)).toBe('dir/PaxHeaders.0/nave'.padEnd(100, '\0'));
    expect(text.slice(100, 124)).toBe('0000000\x000000000\x000000000\0');
    expect(text.slice(136, 148)).toBe('00000000000\0');
    expect(text[156]).toBe('x');
    const body = Buffer.from(
      '40 SCHILY.xattr.security.capability=\0\xff\n\n19 path=dir/na\xc3\xafve\n',
      'latin1',
    ).toString('latin1');
    expect(text.slice(512, 512 + body.length)).toBe(body);
    expect(text.slice(1024, 1124)).toBe('dir/nave'.padEnd(100, '\0'));
  });

  it.each<[string, Partial<TarEntry>, string]>([
    ['ids beyond seven octal digits', { uid: 2_097_152, gid: 4_294_967_294 }, '18 gid=4294967294\n15 uid=2097152\n'],
    ['sizes of 8 GiB and more', { size: 2 ** 33 }, '19 size=8589934592\n'],
    ['times before 1970', { mtime: { seconds: -1, nanoseconds: 0 } }, '12 mtime=-1\n'],
    ['times beyond 33 bits', { mtime: { seconds: 2 ** 33, nanoseconds: 5 } }, '20 mtime=8589934592\n'],
    ['long link targets', { type: 'symlink', linkPath: Buffer.alloc(101, 'l') }, `115 linkpath=${'l'.repeat(101)}\n`],
    ['link targets that are not ASCII', { type: 'symlink', linkPath: Buffer.from([0xff]) }, '14 linkpath=\xff\n'],
  ])('PAX records: are used for %s', (_, fields, body) => {
    const text = encodeText(fileEntry('f', fields));
    expect(text.slice(512, 512 + body.length)).toBe(body);
    expect(text.slice(512 + body.length, 1024)).toBe('\0'.repeat(512 - body.length));
    expect(text).toHaveLength(1536);
  });

  it.each<[string, Partial<TarEntry>]>([
    ['the largest plain ids', { uid: 2_097_151, gid: 2_097_151 }],
    ['a file just below 8 GiB', { size: 2 ** 33 - 1 }],
    ['a time in 2242', { mtime: { seconds: 2 ** 33 - 1, nanoseconds: 0 } }],
    ['nanoseconds', { mtime: { seconds: 1, nanoseconds: 999_999_999 } }],
    ['a device', { type: 'block-device', deviceMajor: 259, deviceMinor: 1_048_575 }],
  ])('PAX records: are not used for %s', (_, fields) => {
    expect(encodeTarEntry(fileEntry('f', fields))).toHaveLength(512);
  });

  it('PAX records: count their own digits where that makes them longer', () => {
    for (const length of [89, 90, 91, 92, 93, 985, 986, 987, 988, 989, 990]) {
      const [item] = parse(archive([file('é'.repeat(1) + 'x'.repeat(length))]));
      expect(item!.entry.path).toHaveLength(length + 2);
    }
  });

  it('nanoseconds: are written where asked for, before 1970 too', () => {
    for (const mtime of [
      { seconds: 5, nanoseconds: 120_000_000 },
      { seconds: -2, nanoseconds: 500_000_000 },
      { seconds: -1, nanoseconds: 1 },
    ]) {
      expect(parse(archive([file('f', '', { mtime })], { nanoseconds: 'keep' }))[0]!.entry.mtime).toEqual(mtime);
      expect(parse(archive([file('f', '', { mtime })]))[0]!.entry.mtime).toEqual({ ...mtime, nanoseconds: 0 });
    }
  });

  it.each<[string, TarEntry]>([
    ['NUL in a name', fileEntry('a\0b')],
    ['NUL in a link target', fileEntry('a', { type: 'symlink', linkPath: Buffer.from('a\0') })],
    ['a file without a name', fileEntry('')],
    ['a link without a target', fileEntry('a', { type: 'symlink' })],
    ['a target of a file', fileEntry('a', { linkPath: Buffer.from('b') })],
    ['= in the name of an xattr', fileEntry('a', { xattrs: new Map([['user.a=b', Buffer.alloc(1)]]) })],
    ['a device number too large', fileEntry('a', { type: 'block-device', deviceMajor: 1, deviceMinor: 2 ** 21 })],
  ])('refuses %s', (_, entry) => {
    expect(() => encodeTarEntry(entry)).toThrow(FormatError);
  });

  it('speed: 20,000 entries are encoded at once', () => {
    const entries = Array.from({ length: 20_000 }, (_, i) =>
      fileEntry(`usr/share/doc/package-${i % 500}/file-${i}`, { size: i }),
    );
    const start = performance.now();
    for (const entry of entries) encodeTarEntry(entry);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('tarPadding', () => {
  it('sizes: fills up to whole blocks, beyond 32 bits too', () => {
    const lengths = [0, 1, 511, 512, 513, 2 ** 33, 2 ** 33 + 1].map((size) => tarPadding(size).length);
    expect(lengths).toEqual([0, 511, 1, 0, 511, 0, 511]);
    expect(TAR_END.equals(Buffer.alloc(1024))).toBe(true);
  });
});

async function* items(...list: readonly TarItem[]): AsyncGenerator<TarItem> {
  yield* list;
}

async function* pieces(...list: readonly (string | Buffer)[]): AsyncGenerator<Uint8Array> {
  for (const piece of list) yield Buffer.from(piece);
}

async function pack(...list: readonly TarItem[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(packTar(items(...list))));
}

describe('packTar', () => {
  it('archives: hold every plain entry, in order, the same bytes each time', async () => {
    const large = Buffer.alloc(3_000_000, 'data');
    const list = (): TarItem[] => [
      { entry: fileEntry('blobs', { type: 'directory', mode: 0o755 }) },
      { entry: fileEntry('blobs/a', { size: 6, uid: 0o777777 }), body: pieces('abc', '', 'def') },
      {
        entry: fileEntry('blobs/large', { size: large.length }),
        body: pieces(...Array.from({ length: 30 }, (_, i) => large.subarray(i * 100_000, (i + 1) * 100_000))),
      },
      { entry: fileEntry('empty') },
      { entry: fileEntry('link', { type: 'symlink', linkPath: Buffer.from('blobs/a') }) },
      { entry: fileEntry('hard', { type: 'hardlink', linkPath: Buffer.from('blobs/a') }) },
      { entry: fileEntry(`long/${'n'.repeat(180)}-ü`, { size: 1 }), body: pieces('x') },
    ];
    const bytes = await pack(...list());
    expect((await pack(...list())).equals(bytes)).toBe(true);
    const parsed = parse(bytes);
    expect(parsed.map(({ entry }) => entry)).toEqual(list().map(({ entry }) => entry));
    expect(parsed.map(({ content }) => content.length)).toEqual([0, 6, 3_000_000, 0, 0, 0, 1]);
    expect(parsed[1]!.content.toString()).toBe('abcdef');
    expect(parsed[2]!.content.equals(large)).toBe(true);
  });

  it('no entries: still is an archive', async () => {
    expect((await pack()).equals(TAR_END)).toBe(true);
  });

  it.each<[string, Partial<TarEntry>]>([
    ['xattrs', { xattrs: new Map([['user.a', Buffer.from('b')]]) }],
    ['a large id', { uid: 0o1000000 }],
    ['a time before 1970', { mtime: { seconds: -1, nanoseconds: 0 } }],
    ['a time after 2038', { mtime: { seconds: 2 ** 31, nanoseconds: 0 } }],
    ['mode 0', { mode: 0 }],
    ['a name that is not UTF-8', { path: Buffer.from([0xff]) }],
    ['a device', { type: 'fifo' }],
  ])('refuses %s, which tar-stream would change', async (_, fields) => {
    await expect(pack({ entry: fileEntry('a', fields) })).rejects.toThrow(FormatError);
  });

  it.each([
    ['too short', ['abc']],
    ['too long', ['abcd', 'ef']],
    ['missing', undefined],
  ])('refuses content that is %s', async (_, content) => {
    await expect(
      pack({ entry: fileEntry('a', { size: 5 }), ...(content && { body: pieces(...content) }) }),
    ).rejects.toThrow(FormatError);
  });

  it('errors: of a body and of the items come through as they are', async () => {
    const failure = new Error('no such blob');
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100_000);
      throw failure;
    };
    await expect(pack({ entry: fileEntry('a', { size: 200_000 }), body: failing() })).rejects.toBe(failure);
    const failingItems = async function* (): AsyncGenerator<TarItem> {
      yield { entry: fileEntry('a') };
      throw failure;
    };
    await expect(Array.fromAsync(packTar(failingItems()))).rejects.toBe(failure);
  });

  it('left early: ends body and items', async () => {
    const ended: string[] = [];
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(65_536);
      } finally {
        ended.push('body');
      }
    };
    const list = async function* (): AsyncGenerator<TarItem> {
      try {
        yield { entry: fileEntry('a', { size: 2 ** 40 }), body: endless() };
      } finally {
        ended.push('items');
      }
    };
    let size = 0;
    for await (const chunk of packTar(list())) {
      size += chunk.length;
      if (size > 1_000_000) break;
    }
    expect(ended).toEqual(['body', 'items']);
  });
});

describe('other programs', () => {
  const written = [
    file('dir', '', { type: 'directory', mode: 0o755 }),
    file('dir/file', 'hello\n', { uid: 3_000_000, gid: 12 }),
    file(`${'d'.repeat(90)}/${'e'.repeat(90)}/naïve`, 'x'.repeat(1000)),
    file('link', '', { type: 'symlink', linkPath: Buffer.from('../t'.repeat(40)) }),
    file('hard', '', { type: 'hardlink', linkPath: Buffer.from('dir/file') }),
    file('old', '', { mtime: { seconds: -86_400, nanoseconds: 0 } }),
    file('null', '', { type: 'character-device', deviceMajor: 1, deviceMinor: 3 }),
    file('attributes', 'y', { xattrs: new Map([['user.mime', Buffer.from([1, 0, 255])]]) }),
  ];

  it('GNU tar: lists what was written', () => {
    const listing = execFileSync('tar', ['--full-time', '--numeric-owner', '--quoting-style=literal', '-tvf', '-'], {
      input: archive(written),
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' },
    }).toString();
    expect(listing.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'drwxr-xr-x 0/0 0 2023-11-14 22:13:20 dir/',
      '-rw-r--r-- 3000000/12 6 2023-11-14 22:13:20 dir/file',
      `-rw-r--r-- 0/0 1000 2023-11-14 22:13:20 ${'d'.repeat(90)}/${'e'.repeat(90)}/naïve`,
      `lrw-r--r-- 0/0 0 2023-11-14 22:13:20 link -> ${'../t'.repeat(40)}`,
      'hrw-r--r-- 0/0 0 2023-11-14 22:13:20 hard link to dir/file',
      '-rw-r--r-- 0/0 0 1969-12-31 00:00:00 old',
      'crw-r--r-- 0/0 1,3 2023-11-14 22:13:20 null',
      '-rw-r--r-- 0/0 1 2023-11-14 22:13:20 attributes',
      '',
    ]);
  });

  it('tar-stream: reads what was written', async () => {
    const reader = extract();
    const found: string[] = [];
    reader.on('entry', (header, stream, next) => {
      found.push(`${header.type} ${header.name} ${header.size} ${header.linkname ?? ''}`);
      stream.on('end', () => next());
      stream.resume();
    });
    const finished = new Promise<void>((resolve, reject) => {
      reader.on('finish', resolve);
      reader.on('error', reject);
    });
    reader.write(archive(written));
    reader.end(null);
    await finished;
    expect(found.slice(0, 5)).toEqual([
      'directory dir/ 0 ',
      'file dir/file 6 ',
      `file ${'d'.repeat(90)}/${'e'.repeat(90)}/naïve 1000 `,
      `symlink link 0 ${'../t'.repeat(40)}`,
      'link hard 0 dir/file',
    ]);
  });
});
