import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../src/oci/format-error.ts';
import { encodeHeader, type HeaderFields, type TarEntry } from '../../src/oci/tar-header.ts';
import { encodePaxRecord } from '../../src/oci/tar-pax.ts';
import { DEFAULT_TAR_LIMITS, readTar, TarParser } from '../../src/oci/tar-reader.ts';
import { encodeTarEntry, TAR_END, tarPadding } from '../../src/oci/tar-writer.ts';
import { describeWith } from '../support/requires.ts';
import { archive, Collector, file, fileEntry, parse, tarFixtures, type TarFixture } from './tar-entries.ts';

const MIB = 1024 * 1024;

function header(
  fields: Partial<Omit<HeaderFields, 'name'>> & { readonly name?: string; readonly flag?: string } = {},
): Buffer {
  const { name = 'f', flag = '0', ...rest } = fields;
  return encodeHeader({
    typeFlag: flag.charCodeAt(0),
    name: Buffer.from(name),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    seconds: 0,
    ...rest,
  });
}

/** Changes bytes of a header block and mends its checksum. */
function patched(block: Buffer, changes: Readonly<Record<number, Buffer | string>>): Buffer {
  const copy = Buffer.from(block);
  for (const [at, bytes] of Object.entries(changes)) copy.set(Buffer.from(bytes as string, 'latin1'), Number(at));
  copy.fill(' ', 148, 156);
  const sum = copy.reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return copy;
}

function extended(flag: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body as string);
  return Buffer.concat([header({ flag, name: 'extended', size: bytes.length }), bytes, tarPadding(bytes.length)]);
}

function pax(records: Readonly<Record<string, string | Buffer>>, flag = 'x'): Buffer {
  return extended(flag, Buffer.concat(Object.entries(records).map(([key, value]) => encodePaxRecord(key, value))));
}

function octal(value: number): string {
  return `${value.toString(8).padStart(11, '0')}\0`;
}

function sparseBlock(segments: readonly string[], more: string): Buffer {
  return Buffer.from(segments.join('').padEnd(504, '\0') + more.padEnd(8, '\0'), 'latin1');
}

function whole(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, TAR_END]);
}

function only(bytes: Buffer): TarFixture {
  const items = parse(bytes);
  expect(items).toHaveLength(1);
  return items[0]!;
}

function names(bytes: Buffer): string[] {
  return parse(bytes).map(({ entry }) => entry.path.toString());
}

describe('TarParser', () => {
  it('property: gives back what was encoded, byte for byte, whatever the chunks', () => {
    fc.assert(
      fc.property(fc.array(tarFixtures, { maxLength: 6 }), fc.integer({ min: 1, max: 3000 }), (items, chunkSize) => {
        expect(parse(archive(items, { nanoseconds: 'keep' }), { chunkSize })).toEqual(items);
      }),
      { numRuns: 200 },
    );
  });

  it('property: every archive cut off inside of an entry is refused, between entries it is accepted', () => {
    const bytes = archive([file('a', 'x'.repeat(700)), file('é', 'y'), file('dir', '', { type: 'directory' })]);
    const between = [0, 3 * 512, 7 * 512, 8 * 512, 9 * 512, bytes.length];
    const accepted = Array.from({ length: bytes.length + 1 }, (_, length) => length).filter((length) => {
      try {
        parse(bytes.subarray(0, length));
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        return false;
      }
    });
    expect(accepted).toEqual(between);
  });

  it('property: hostile bytes end in FormatError or in entries', () => {
    const base = archive([
      file('a', 'x'.repeat(700)),
      file('é'.repeat(60), 'y', { xattrs: new Map([['user.a', Buffer.from('b')]]) }),
      file('l', '', { type: 'symlink', linkPath: Buffer.from('a') }),
    ]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (changes, mend) => {
          const bytes = Buffer.from(base);
          for (const [at, value] of changes) bytes[at] = value;
          const repaired = mend
            ? Buffer.concat(
                Array.from({ length: bytes.length / 512 }, (_, i) =>
                  mendIfHeader(bytes.subarray(i * 512, i * 512 + 512)),
                ),
              )
            : bytes;
          try {
            for (const { entry } of parse(repaired))
              expect(`/${entry.path.toString('latin1')}/`).not.toMatch(/\/\.\.?\/|\/\/.|\0/);
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('handler: is called in order, with an end for every entry', () => {
    const calls: string[] = [];
    const parser = new TarParser({
      entry: ({ path }) => calls.push(`entry ${path.toString()}`),
      data: (chunk) => calls.push(`data ${Buffer.from(chunk).toString()}`),
      end: () => calls.push('end'),
    });
    parser.push(archive([file('a', 'xyz'), file('b'), file('c', 'z')]));
    parser.finish();
    expect(calls).toEqual(['entry a', 'data xyz', 'end', 'entry b', 'end', 'entry c', 'data z', 'end']);
  });

  it('archive end: whatever follows is passed over, and an archive without an end is accepted', () => {
    expect(names(Buffer.concat([archive([file('a')]), Buffer.from('garbage'), header()]))).toEqual(['a']);
    expect(names(encodeTarEntry(fileEntry('a')))).toEqual(['a']);
    expect(names(Buffer.concat([encodeTarEntry(fileEntry('a')), Buffer.alloc(512)]))).toEqual(['a']);
    expect(parse(Buffer.alloc(0))).toEqual([]);
    expect(() => parse(Buffer.concat([Buffer.alloc(512), header()]))).toThrow('tar goes on after a zero block');
  });

  describe('names', () => {
    it.each([
      ['./a', 'a'],
      ['/etc/passwd', 'etc/passwd'],
      ['a//b', 'a/b'],
      ['a/./b', 'a/b'],
      ['.//./a', 'a'],
      ['...', '...'],
      ['..a/.b', '..a/.b'],
    ])('%s: becomes %s', (name, path) => {
      expect(only(whole(header({ name }))).entry.path.toString()).toBe(path);
    });

    it('directories: lose their slash; the root has an empty path', () => {
      expect(only(whole(header({ name: 'a/b/', flag: '5' }))).entry).toMatchObject({
        path: Buffer.from('a/b'),
        type: 'directory',
      });
      for (const name of ['./', '.', '/', '//./']) {
        expect(only(whole(header({ name, flag: '5' }))).entry.path).toHaveLength(0);
      }
    });

    it('old archives: a slash makes a directory of an entry without a type', () => {
      expect(only(whole(header({ name: 'a/', flag: '\0' }))).entry).toMatchObject({
        path: Buffer.from('a'),
        type: 'directory',
      });
      expect(only(whole(header({ name: 'a', flag: '\0' }))).entry.type).toBe('file');
    });

    it('bytes: that are no UTF-8 stay as they are', () => {
      const path = Buffer.from([0x61, 0xff, 0xfe, 0x80]);
      expect(only(whole(patched(header(), { 0: path }))).entry.path.equals(path)).toBe(true);
      expect(only(whole(pax({ path }), header())).entry.path.equals(path)).toBe(true);
    });

    it.each<[string, Buffer]>([
      ['..', header({ name: '..' })],
      ['.. at the front', header({ name: '../a' })],
      ['.. in the middle', header({ name: 'a/../b' })],
      ['.. at the end', header({ name: 'a/..' })],
      ['.. in a directory', header({ name: 'a/../', flag: '5' })],
      ['.. in a PAX path', Buffer.concat([pax({ path: 'a/../../b' }), header()])],
      ['.. in a GNU long name', Buffer.concat([extended('L', '../a\0'), header()])],
      ['.. in a hard link target', header({ flag: '1', linkName: Buffer.from('../etc/passwd') })],
      ['NUL in a PAX path', Buffer.concat([pax({ path: 'a\0b' }), header()])],
      ['NUL in a PAX link target', Buffer.concat([pax({ linkpath: 'a\0b' }), header({ flag: '2' })])],
      ['NUL in a GNU long name', Buffer.concat([extended('L', 'a\0b\0'), header()])],
      ['a file that is the root', header({ name: './' })],
      ['a symlink that is the root', header({ name: '.', flag: '2', linkName: Buffer.from('x') })],
      ['no name', header({ name: '' })],
      ['a link without a target', header({ flag: '2' })],
      ['a hard link to the root', header({ flag: '1', linkName: Buffer.from('/') })],
    ])('refuses %s', (_, bytes) => {
      expect(() => parse(whole(bytes))).toThrow(FormatError);
    });

    it('links: a symlink keeps its target, a hard link names an entry', () => {
      expect(only(whole(header({ flag: '2', linkName: Buffer.from('../..//x/') }))).entry.linkPath?.toString()).toBe(
        '../..//x/',
      );
      expect(only(whole(header({ flag: '1', linkName: Buffer.from('/./a//b') }))).entry.linkPath?.toString()).toBe(
        'a/b',
      );
    });
  });

  describe('header blocks', () => {
    it('types: all that images know, content only for files', () => {
      const types = ['0', '1', '2', '3', '4', '5', '6', '7'].map((flag) => {
        const { entry } = only(
          whole(
            header({
              flag,
              ...('12'.includes(flag) && { linkName: Buffer.from('t') }),
              size: '07'.includes(flag) ? 0 : 7,
            }),
          ),
        );
        expect(entry.size).toBe(0);
        return entry.type;
      });
      expect(types).toEqual([
        'file',
        'hardlink',
        'symlink',
        'character-device',
        'block-device',
        'directory',
        'fifo',
        'file',
      ]);
    });

    it.each(['V', 'M', 'D', 'N', 'A', 'X', 'z', '\x7f'])('type %j: is refused', (flag) => {
      expect(() => parse(whole(header({ flag })))).toThrow('unsupported type');
    });

    it('checksum: is checked, signed sums of old tars too', () => {
      const damaged = header();
      damaged[200] = 1;
      expect(() => parse(whole(damaged))).toThrow('wrong checksum');
      const signed = patched(header(), { 0: Buffer.from([0xff, 0x80]) });
      const sum = Number.parseInt(signed.toString('latin1', 148, 154), 8) - 512;
      signed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      expect(only(whole(signed)).entry.path).toEqual(Buffer.from([0xff, 0x80]));
    });

    it('numbers: octal with spaces, base 256, negative times', () => {
      const spaced = patched(header(), { 108: '  1234 \0', 116: '\x00007 \0\0\0' });
      expect(only(whole(spaced)).entry).toMatchObject({ uid: 0o1234, gid: 7 });
      const binary = patched(header(), {
        108: Buffer.from('80000000fffffffe', 'hex'),
        136: Buffer.from('fffffffffffffffffffffffb', 'hex'),
      });
      expect(only(whole(binary)).entry).toMatchObject({ uid: 2 ** 32 - 2, mtime: { seconds: -5, nanoseconds: 0 } });
    });

    it.each<[string, Readonly<Record<number, Buffer | string>>]>([
      ['digits that are not octal', { 108: '0000008\0' }],
      ['text for a number', { 100: 'abcdefg\0' }],
      ['a number beyond 2^53', { 124: Buffer.from('80ffffffffffffffffffffff', 'hex') }],
      ['a negative size', { 124: Buffer.from('ffffffffffffffffffffffff', 'hex') }],
      ['a negative id', { 108: Buffer.from('ffffffffffffffff', 'hex') }],
      ['the id that means "leave as is"', { 108: Buffer.from('80000000ffffffff', 'hex') }],
    ])('refuses %s', (_, changes) => {
      expect(() => parse(whole(patched(header(), changes)))).toThrow(FormatError);
    });

    it('formats: V7 has no prefix, Schily has a shorter one, Go before 1.8 put one into GNU headers', () => {
      const prefixed = header({ name: 'n', prefix: Buffer.from('p'.repeat(140)) });
      expect(names(whole(prefixed))).toEqual([`${'p'.repeat(140)}/n`]);
      expect(names(whole(patched(prefixed, { 257: '\0'.repeat(8) })))).toEqual(['n']);
      expect(names(whole(patched(prefixed, { 508: 'tar\0' })))).toEqual([`${'p'.repeat(131)}/n`]);
      expect(names(whole(patched(prefixed, { 257: 'ustar  \0' })))).toEqual([`${'p'.repeat(140)}/n`]);
      const times = patched(header({ name: 'n' }), { 257: 'ustar  \0', 345: '14524770400\0', 357: '14524770400\0' });
      expect(names(whole(times))).toEqual(['n']);
    });

    it('devices: have numbers', () => {
      const [device] = parse(whole(header({ flag: '4', deviceMajor: 8, deviceMinor: 17 })));
      expect(device!.entry).toMatchObject({ type: 'block-device', deviceMajor: 8, deviceMinor: 17 });
      expect(parse(whole(header({ deviceMajor: 8 })))[0]!.entry).not.toHaveProperty('deviceMajor');
    });
  });

  describe('extended headers', () => {
    it('PAX: overrides the header, for one entry', () => {
      const records = {
        path: 'long',
        uid: '5',
        gid: '6',
        mtime: '-1.5',
        size: '3',
        'SCHILY.xattr.user.a': Buffer.from([0, 10, 255]),
        comment: 'x',
      };
      const [first, second] = parse(
        whole(pax(records), header(), Buffer.from('abc'), tarPadding(3), header({ name: 'g' })),
      );
      expect(first).toEqual({
        entry: fileEntry('long', {
          uid: 5,
          gid: 6,
          size: 3,
          mtime: { seconds: -2, nanoseconds: 500_000_000 },
          xattrs: new Map([['user.a', Buffer.from([0, 10, 255])]]),
        }),
        content: Buffer.from('abc'),
      });
      expect(second!.entry).toEqual(fileEntry('g', { mtime: { seconds: 0, nanoseconds: 0 } }));
    });

    it('PAX: an empty value leaves the header as it is, but makes an empty xattr', () => {
      const { entry } = only(whole(pax({ path: '', mtime: '', 'SCHILY.xattr.user.a': '' }), header({ seconds: 9 })));
      expect(entry).toMatchObject({
        path: Buffer.from('f'),
        mtime: { seconds: 9 },
        xattrs: new Map([['user.a', Buffer.alloc(0)]]),
      });
    });

    it('PAX global: holds for all later entries, local records win', () => {
      const bytes = whole(
        pax({ uid: '7', 'SCHILY.xattr.user.g': 'g' }, 'g'),
        header({ name: 'a' }),
        pax({ uid: '8', 'SCHILY.xattr.user.l': 'l' }),
        header({ name: 'b' }),
        pax({ gid: '9', comment: 'abc' }, 'g'),
        header({ name: 'c' }),
      );
      expect(parse(bytes).map(({ entry: { uid, gid, xattrs } }) => [uid, gid, [...xattrs.keys()]])).toEqual([
        [7, 0, ['user.g']],
        [8, 0, ['user.g', 'user.l']],
        [7, 9, ['user.g']],
      ]);
    });

    it.each(['path', 'linkpath', 'size', 'GNU.sparse.size'])('PAX global: refuses %s', (key) => {
      expect(() => parse(whole(pax({ [key]: '1' }, 'g'), header()))).toThrow('global PAX header');
    });

    it('GNU: long names and long links of any length up to the limit', () => {
      const name = `${'n'.repeat(100)}/`.repeat(40).slice(0, 4000);
      const bytes = whole(extended('L', `${name}\0`), extended('K', `${'t'.repeat(300)}\0`), header({ flag: '2' }));
      expect(only(bytes).entry).toMatchObject({ path: Buffer.from(name), linkPath: Buffer.from('t'.repeat(300)) });
    });

    it('both: a GNU long name wins over a PAX path, as in Go', () => {
      expect(names(whole(pax({ path: 'pax' }), extended('L', 'gnu\0'), header()))).toEqual(['gnu']);
    });

    it.each<[string, Buffer]>([
      ['two PAX headers for one entry', Buffer.concat([pax({ path: 'a' }), pax({ path: 'b' }), header()])],
      ['two long names for one entry', Buffer.concat([extended('L', 'a\0'), extended('L', 'b\0'), header()])],
      ['a record without a length', Buffer.concat([extended('x', 'path=a\n'), header()])],
      ['a record longer than its header', Buffer.concat([extended('x', '99 path=a\n'), header()])],
      ['a record that is too short', Buffer.concat([extended('x', '3 path=a\n'), header()])],
      ['a record without a line break', Buffer.concat([extended('x', '10 path=ab'), header()])],
      ['a record without a value', Buffer.concat([extended('x', '7 path\n'), header()])],
      ['a length that is no number', Buffer.concat([extended('x', '1x path=a\n'), header()])],
      ['a negative size', Buffer.concat([pax({ size: '-1' }), header()])],
      ['a size in other digits', Buffer.concat([pax({ size: '0x10' }), header()])],
      ['a size beyond 2^53', Buffer.concat([pax({ size: '9007199254740992' }), header()])],
      ['a time that is none', Buffer.concat([pax({ mtime: '1e9' }), header()])],
      [
        'an xattr whose name is no UTF-8',
        Buffer.concat([extended('x', Buffer.from('21 SCHILY.xattr.\xff\xfe=a\n', 'latin1')), header()]),
      ],
    ])('refuses %s', (_, bytes) => {
      expect(() => parse(whole(bytes))).toThrow(FormatError);
    });

    it('end: after an extended header there must be an entry', () => {
      expect(() => parse(pax({ path: 'a' }))).toThrow('tar ends after an extended header');
      expect(() => parse(whole(pax({ path: 'a' })))).not.toThrow(RangeError);
    });
  });

  describe('limits', () => {
    it('extended headers: are refused by the size that they announce', () => {
      const tooLarge = header({ flag: 'x', size: MIB + 1 });
      expect(() => parse(tooLarge)).toThrow('larger than 1048576 bytes');
      expect(() => parse(header({ flag: 'g', size: 8 * 1024 * MIB - 1 }))).toThrow(FormatError);
      expect(() => parse(header({ flag: 'L', size: 4098 }))).toThrow('larger than 4097 bytes');
      const justFits = pax({ comment: 'c'.repeat(MIB - 20) });
      expect(names(whole(justFits, header()))).toEqual(['f']);
    });

    it('names: are at most as long as a path can be', () => {
      expect(names(whole(pax({ path: 'a/'.repeat(2047) }), header({ flag: '5' })))).toHaveLength(1);
      expect(() => parse(whole(pax({ path: 'a/'.repeat(2049) }), header({ flag: '5' })))).toThrow(
        'longer than 4096 bytes',
      );
      expect(() => parse(whole(pax({ linkpath: 'a'.repeat(4097) }), header({ flag: '2' })))).toThrow(
        'longer than 4096 bytes',
      );
      expect(() => parse(archive([file('abc')]), { limits: { nameBytes: 2 } })).toThrow('longer than 2 bytes');
    });

    it('entries and bytes: are counted before anything is passed on', () => {
      const collector = new Collector();
      const parser = new TarParser(collector, { entries: 2 });
      expect(() => {
        parser.push(archive([file('a'), file('b'), file('c')]));
      }).toThrow('more than 2 entries');
      expect(collector.items).toHaveLength(2);
      expect(() => parse(header({ size: 2 ** 33 - 1 }), { limits: { totalBytes: 1000 } })).toThrow(
        'more than 1000 bytes',
      );
      expect(() =>
        parse(archive([file('a', 'x'.repeat(600)), file('b', 'x'.repeat(600))]), { limits: { totalBytes: 1000 } }),
      ).toThrow('more than 1000 bytes');
      expect(DEFAULT_TAR_LIMITS).toMatchObject({ metadataBytes: MIB, nameBytes: 4096 });
    });

    it('time: 20,000 entries are parsed at once, and so is a megabyte in single bytes', () => {
      const bytes = Buffer.concat([
        ...Array.from({ length: 20_000 }, (_, i) => encodeTarEntry(fileEntry(`usr/share/doc/p${i % 500}/f${i}`))),
        TAR_END,
      ]);
      const start = performance.now();
      expect(parse(bytes, { chunkSize: 65_536 })).toHaveLength(20_000);
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(parse(bytes.subarray(0, MIB), { chunkSize: 1 })).toHaveLength(2048);
    });
  });

  describe('sparse files', () => {
    const content = Buffer.concat([
      Buffer.alloc(1000),
      Buffer.from('data'),
      Buffer.alloc(996),
      Buffer.from('more'),
      Buffer.alloc(500),
    ]);
    const data = Buffer.concat([Buffer.from('datamore'), tarPadding(8)]);
    const map = '1000,4,2000,4';

    it('PAX 0.0: is expanded', () => {
      const records = Buffer.concat(
        [
          ['size', '2504'],
          ['numblocks', '2'],
          ['offset', '1000'],
          ['numbytes', '4'],
          ['offset', '2000'],
          ['numbytes', '4'],
        ].map(([key, value]) => encodePaxRecord(`GNU.sparse.${key!}`, value!)),
      );
      expect(only(whole(extended('x', records), header({ size: 8 }), data))).toEqual({
        entry: fileEntry('f', { size: 2504, mtime: { seconds: 0, nanoseconds: 0 } }),
        content,
      });
    });

    it('PAX 0.1: is expanded and has its real name', () => {
      const bytes = whole(
        pax({
          'GNU.sparse.name': 'real',
          'GNU.sparse.size': '2504',
          'GNU.sparse.numblocks': '2',
          'GNU.sparse.map': map,
        }),
        header({ name: 'GNUSparseFile.0/f', size: 8 }),
        data,
      );
      expect(only(bytes)).toMatchObject({ entry: { path: Buffer.from('real'), size: 2504 }, content });
    });

    it('PAX 1.0: is expanded, its map torn or not', () => {
      const text = Buffer.from('2\n1000\n4\n2000\n4\n');
      const body = Buffer.concat([text, tarPadding(text.length), data]);
      const records = {
        'GNU.sparse.major': '1',
        'GNU.sparse.minor': '0',
        'GNU.sparse.name': 'real',
        'GNU.sparse.realsize': '2504',
      };
      const bytes = whole(pax(records), header({ size: 512 + 8 }), body, header({ name: 'next' }));
      for (const chunkSize of [1, 7, 512, bytes.length]) {
        const [sparse, next] = parse(bytes, { chunkSize });
        expect(sparse).toMatchObject({ entry: { path: Buffer.from('real'), size: 2504 }, content });
        expect(next!.entry.path.toString()).toBe('next');
      }
    });

    it('GNU: is expanded, with extension blocks', () => {
      const segments = Array.from({ length: 30 }, (_, i) => octal(i * 100) + octal(1));
      const main = patched(header({ flag: 'S', size: 30 }), {
        257: 'ustar  \0',
        386: segments.slice(0, 4).join(''),
        482: '\x01',
        483: octal(3000),
      });
      const bytes = whole(
        main,
        sparseBlock(segments.slice(4, 25), '\x01'),
        sparseBlock(segments.slice(25), ''),
        Buffer.alloc(30, 'x'),
        tarPadding(30),
      );
      const expected = Buffer.concat(
        Array.from({ length: 30 }, () => Buffer.concat([Buffer.from('x'), Buffer.alloc(99)])),
      );
      expect(only(bytes)).toMatchObject({ entry: { size: 3000 }, content: expected });
    });

    it('holes: are reported as such to handlers that want them', () => {
      const calls: string[] = [];
      const parser = new TarParser({
        entry: () => undefined,
        data: (chunk) => calls.push(`data ${Buffer.from(chunk).toString()}`),
        hole: (size) => calls.push(`hole ${size}`),
        end: () => calls.push('end'),
      });
      parser.push(
        whole(
          pax({ 'GNU.sparse.name': 'real', 'GNU.sparse.size': '2504', 'GNU.sparse.map': map }),
          header({ size: 8 }),
          data,
        ),
      );
      expect(calls).toEqual(['hole 1000', 'data data', 'hole 996', 'data more', 'hole 500', 'end']);
    });

    it('only holes: have no data at all', () => {
      const bytes = whole(
        pax({ 'GNU.sparse.name': 'real', 'GNU.sparse.size': '100000', 'GNU.sparse.map': '100000,0' }),
        header(),
      );
      expect(only(bytes).content.equals(Buffer.alloc(100_000))).toBe(true);
    });

    it.each<[string, Buffer]>([
      [
        'more than the limit in holes',
        Buffer.concat([
          pax({ 'GNU.sparse.name': 'r', 'GNU.sparse.size': String(2 ** 50), 'GNU.sparse.map': '0,0' }),
          header(),
        ]),
      ],
      [
        'segments out of order',
        Buffer.concat([
          pax({ 'GNU.sparse.name': 'r', 'GNU.sparse.size': '2504', 'GNU.sparse.map': '2000,4,1000,4' }),
          header({ size: 8 }),
          data,
        ]),
      ],
      [
        'segments outside of the file',
        Buffer.concat([
          pax({ 'GNU.sparse.name': 'r', 'GNU.sparse.size': '10', 'GNU.sparse.map': '8,8' }),
          header({ size: 8 }),
          data,
        ]),
      ],
      [
        'a map of less than the data',
        Buffer.concat([
          pax({ 'GNU.sparse.name': 'r', 'GNU.sparse.size': '2504', 'GNU.sparse.map': '0,4' }),
          header({ size: 8 }),
          data,
        ]),
      ],
      [
        'half a segment',
        Buffer.concat([
          pax({ 'GNU.sparse.name': 'r', 'GNU.sparse.size': '2504', 'GNU.sparse.map': '0,8,9' }),
          header({ size: 8 }),
          data,
        ]),
      ],
      [
        'a map without a size',
        Buffer.concat([pax({ 'GNU.sparse.name': 'r', 'GNU.sparse.map': '0,8' }), header({ size: 8 }), data]),
      ],
      [
        'a map beyond the file',
        Buffer.concat([
          pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }),
          header({ size: 8 }),
          Buffer.alloc(512, '1\n'),
        ]),
      ],
      [
        'a map with text',
        Buffer.concat([
          pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }),
          header({ size: 512 }),
          Buffer.alloc(512, 'x\n'),
        ]),
      ],
      ['a GNU sparse file in another format', header({ flag: 'S' })],
    ])('refuses %s', (_, bytes) => {
      expect(() => parse(whole(bytes))).toThrow(FormatError);
    });

    it('maps: are limited, however many segments they announce', () => {
      const endless = Buffer.concat([
        pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }),
        header({ size: 4 * MIB }),
        Buffer.alloc(2 * MIB, '999999\n'),
      ]);
      expect(() => parse(endless)).toThrow('sparse map is larger than 1048576 bytes');
      const digits = Buffer.concat([
        pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }),
        header({ size: 4 * MIB }),
        Buffer.alloc(2 * MIB, '9'),
      ]);
      expect(() => parse(digits)).toThrow(FormatError);
      const number = '00000000001\0';
      const gnu = patched(header({ flag: 'S' }), { 257: 'ustar  \0', 386: number.repeat(8), 482: '\x01', 483: number });
      const blocks = Buffer.alloc(
        2 * MIB,
        Buffer.concat([Buffer.from(number.repeat(42)), Buffer.from('\x01\0\0\0\0\0\0\0')]),
      );
      expect(() => parse(Buffer.concat([gnu, blocks]))).toThrow('sparse map is larger than 1048576 bytes');
    });
  });
});

/** A block that was a header gets a valid checksum again, so that damage reaches the parser. */
function mendIfHeader(block: Buffer): Buffer {
  return block.subarray(257, 262).toString() === 'ustar' ? patched(block, {}) : Buffer.from(block);
}

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('readTar', () => {
  const items = [file('a', 'x'.repeat(100_000)), file('empty'), file('b', 'second'), file('c', 'y'.repeat(5000))];

  it.each([1000, 512, 65_536, 1_000_000])('entries: come with their content, in chunks of %i', async (size) => {
    const found: TarFixture[] = [];
    for await (const { entry, body } of readTar(chunks(archive(items), size))) {
      found.push({ entry, content: Buffer.concat(await Array.fromAsync(body)) });
    }
    expect(found).toEqual(items);
  });

  it('content: what is not read, or not to its end, is passed over', async () => {
    const found: string[] = [];
    const bodies: AsyncIterable<Uint8Array>[] = [];
    for await (const { entry, body } of readTar(chunks(archive(items), 1000))) {
      bodies.push(body);
      if (entry.path.toString() === 'a') for await (const chunk of body) if (chunk.length > 0) break;
      found.push(entry.path.toString());
      if (entry.path.toString() === 'b') found.push(Buffer.concat(await Array.fromAsync(body)).toString());
    }
    expect(found).toEqual(['a', 'empty', 'b', 'second', 'c']);
    expect(await Array.fromAsync(bodies[3]!)).toEqual([]);
  });

  it('sparse files: are expanded', async () => {
    const bytes = whole(
      pax({ 'GNU.sparse.name': 'real', 'GNU.sparse.size': '100004', 'GNU.sparse.map': '100000,4' }),
      header({ size: 4 }),
      Buffer.from('data'),
      tarPadding(4),
    );
    for await (const { entry, body } of readTar(chunks(bytes, 999))) {
      expect(entry.size).toBe(100_004);
      expect(
        Buffer.concat(await Array.fromAsync(body)).equals(Buffer.concat([Buffer.alloc(100_000), Buffer.from('data')])),
      ).toBe(true);
    }
  });

  it('left early: ends the source', async () => {
    let ended = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield* chunks(archive(items), 1000);
      } finally {
        ended = true;
      }
    };
    for await (const { entry } of readTar(source())) if (entry.path.toString() === 'empty') break;
    expect(ended).toBe(true);
  });

  it('errors: truncation, limits and failures of the source come through', async () => {
    await expect(Array.fromAsync(readTar(chunks(archive(items).subarray(0, 50_000), 1000)))).rejects.toThrow(
      'tar ends in the middle of an entry',
    );
    await expect(Array.fromAsync(readTar(chunks(archive(items), 1000), { entries: 1 }))).rejects.toThrow(
      'more than 1 entries',
    );
    const failure = new Error('network gone');
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield archive(items).subarray(0, 1000);
      throw failure;
    };
    await expect(Array.fromAsync(readTar(failing()))).rejects.toBe(failure);
  });
});

function summary({ path, type, size, mode, linkPath }: TarEntry): string {
  return [path.toString(), type, mode.toString(8), size, ...(linkPath === undefined ? [] : [linkPath.toString()])].join(
    ' ',
  );
}

describe('archives of other programs', () => {
  let folder: string;
  const run = (program: string, args: readonly string[]): Buffer =>
    execFileSync(program, args, { cwd: folder, maxBuffer: 64 * MIB });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsbuild-tar-'));
    const inside = (...parts: readonly string[]): string => join(folder, 'tree', ...parts);
    mkdirSync(inside('dir'), { recursive: true, mode: 0o755 });
    writeFileSync(inside('dir', 'file'), 'hello\n');
    writeFileSync(inside('naïve'), 'é');
    writeFileSync(inside('n'.repeat(150)), 'long');
    symlinkSync('t'.repeat(150), inside('link'));
    linkSync(inside('dir', 'file'), inside('dir', 'hard'));
    chmodSync(inside('naïve'), 0o4755);
    const sparse = openSync(inside('sparse'), 'w');
    for (let i = 0; i < 40; i++) writeSync(sparse, 'data', i * 65_536);
    closeSync(sparse);
    for (const name of ['dir/file', 'naïve', 'n'.repeat(150), 'sparse'])
      utimesSync(inside(name), 1_700_000_000.5, 1_700_000_000.5);
    for (const [name, mode] of [
      ['dir/file', 0o644],
      ['n'.repeat(150), 0o644],
      ['sparse', 0o644],
      ['.', 0o755],
      ['dir', 0o755],
    ] as const)
      chmodSync(inside(name), mode);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const expected = [
    ' directory 755 0',
    'dir directory 755 0',
    'dir/file file 644 6',
    'dir/hard hardlink 644 0 dir/file',
    `link symlink 777 0 ${'t'.repeat(150)}`,
    'naïve file 4755 2',
    `${'n'.repeat(150)} file 644 4`,
    'sparse file 644 2555908',
  ].toSorted();
  const sparseContent = Buffer.alloc(39 * 65_536 + 4);
  for (let i = 0; i < 40; i++) sparseContent.write('data', i * 65_536);

  function expectTree(bytes: Buffer): void {
    const items = parse(bytes, { chunkSize: 10_007 });
    expect(items.map(({ entry }) => summary(entry)).toSorted()).toEqual(expected);
    const contentOf = (name: string): Buffer => items.find(({ entry }) => entry.path.toString() === name)!.content;
    expect(contentOf('dir/file').toString()).toBe('hello\n');
    expect(contentOf('n'.repeat(150)).toString()).toBe('long');
    expect(contentOf('sparse').equals(sparseContent)).toBe(true);
  }

  it.each([
    ['gnu', []],
    ['posix', []],
    ['gnu', ['--sparse']],
    ['posix', ['--sparse', '--sparse-version=0.0']],
    ['posix', ['--sparse', '--sparse-version=0.1']],
    ['posix', ['--sparse', '--sparse-version=1.0']],
  ])('GNU tar, format %s %j: is read', (format, options) => {
    expectTree(run('tar', [`--format=${format}`, ...options, '--sort=name', '-C', 'tree', '-cf', '-', '.']));
  });

  it('GNU tar: times, owners and xattrs of the posix format', () => {
    const bytes = run('tar', ['--format=posix', '--owner=:3000000', '--group=:7', '-C', 'tree', '-cf', '-', 'naïve']);
    expect(only(bytes).entry).toMatchObject({
      uid: 3_000_000,
      gid: 7,
      mtime: { seconds: 1_700_000_000, nanoseconds: 500_000_000 },
    });
  });

  it('GNU tar: an unusual id is in base 256 in its own format', () => {
    const bytes = run('tar', ['--format=gnu', '--owner=:3000000', '--mtime=@-5', '-C', 'tree', '-cf', '-', 'naïve']);
    expect(only(bytes).entry).toMatchObject({ uid: 3_000_000, mtime: { seconds: -5, nanoseconds: 0 } });
  });

  describeWith(['python3'], 'python3', () => {
    it.each(['GNU_FORMAT', 'PAX_FORMAT'])('tarfile.%s: is read', (format) => {
      const script = `import tarfile,sys\nwith tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.${format}) as t: t.add('tree', '.')`;
      expectTree(run('python3', ['-c', script]));
    });

    it('tarfile: reads what was written as we do', () => {
      fc.assert(
        fc.property(fc.array(tarFixtures, { minLength: 1, maxLength: 20 }), (items) => {
          const script = `import tarfile,sys,json,os
with tarfile.open(fileobj=sys.stdin.buffer, mode='r|', encoding='utf-8', errors='surrogateescape') as t:
  for m in t:
    name, link = [os.fsencode(n).hex() for n in (m.name, m.linkname)]
    print(json.dumps([name, m.type.decode(), m.mode, m.uid, m.gid, m.size, int(m.mtime), link, m.devmajor, m.devminor]))`;
          const output = execFileSync('python3', ['-X', 'utf8', '-c', script], { input: archive(items) }).toString();
          const flags = {
            file: '0',
            hardlink: '1',
            symlink: '2',
            'character-device': '3',
            'block-device': '4',
            directory: '5',
            fifo: '6',
          };
          const ours = items.map(({ entry: e }) => [
            e.path.toString('hex'),
            flags[e.type],
            e.mode,
            e.uid,
            e.gid,
            e.size,
            e.mtime.seconds,
            (e.linkPath ?? Buffer.alloc(0)).toString('hex'),
            e.deviceMajor ?? 0,
            e.deviceMinor ?? 0,
          ]);
          const theirs = output
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as unknown);
          expect(theirs).toEqual(ours);
        }),
        { numRuns: 10 },
      );
    });
  });

  it('tar-stream: is read', async () => {
    const packer = pack();
    packer.entry({ name: 'dir', type: 'directory' });
    packer.entry({ name: `${'d'.repeat(120)}/naïve` }, 'content');
    packer.entry({ name: 'link', type: 'symlink', linkname: 'x' });
    packer.finalize();
    const bytes = Buffer.concat((await Array.fromAsync(packer)) as Buffer[]);
    expect(parse(bytes).map(({ entry }) => summary(entry))).toEqual([
      'dir directory 755 0',
      `${'d'.repeat(120)}/naïve file 644 7`,
      'link symlink 644 0 x',
    ]);
  });
});
