import fc from 'fast-check';
import type { TarEntry } from '../../src/oci/tar-header.ts';
import { type TarHandler, type TarLimits, TarParser } from '../../src/oci/tar-reader.ts';
import { encodeTarEntry, TAR_END, tarPadding } from '../../src/oci/tar-writer.ts';

/** A regular file of root with the fields that a test cares about. */
export function fileEntry(path: string | Buffer, fields: Partial<TarEntry> = {}): TarEntry {
  return {
    path: Buffer.from(path),
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
    xattrs: new Map(),
    ...fields,
  };
}

/** An entry and its content. */
export interface TarFixture {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

/** A file with its content. */
export function file(path: string | Buffer, content: string | Buffer = '', fields: Partial<TarEntry> = {}): TarFixture {
  const bytes = Buffer.from(content);
  return { entry: fileEntry(path, { size: bytes.length, ...fields }), content: bytes };
}

/** A whole archive. */
export function archive(items: readonly TarFixture[], encoding?: Parameters<typeof encodeTarEntry>[1]): Buffer {
  return Buffer.concat([
    ...items.flatMap(({ entry, content }) => [encodeTarEntry(entry, encoding), content, tarPadding(content.length)]),
    TAR_END,
  ]);
}

/** Notes everything that the parser calls, and checks the order of the calls. */
export class Collector implements TarHandler {
  readonly items: { entry: TarEntry; content: Buffer }[] = [];
  #open: Buffer[] | undefined;

  entry(entry: TarEntry): void {
    if (this.#open !== undefined) throw new Error('entry before the end of another');
    this.#open = [];
    this.items.push({ entry, content: Buffer.alloc(0) });
  }

  data(chunk: Uint8Array): void {
    if (this.#open === undefined || chunk.length === 0) throw new Error('data outside of an entry');
    this.#open.push(Buffer.from(chunk));
  }

  end(): void {
    this.items.at(-1)!.content = Buffer.concat(this.#open!);
    this.#open = undefined;
  }
}

/** All entries of `bytes`, pushed in chunks of `chunkSize`; every chunk is overwritten after its push. */
export function parse(
  bytes: Uint8Array,
  o: { readonly chunkSize?: number; readonly limits?: TarLimits } = {},
): TarFixture[] {
  const collector = new Collector();
  const parser = new TarParser(collector, o.limits);
  const size = o.chunkSize ?? Math.max(1, bytes.length);
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    parser.push(chunk);
    chunk.fill(0xee);
  }
  parser.finish();
  return collector.items;
}

const component = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x78 : byte))))
  .filter((name) => !['.', '..'].includes(name.toString()));
const path = fc
  .array(component, { minLength: 1, maxLength: 6 })
  .map((parts) => Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part]))));
const target = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)));
const xattrs = fc
  .array(fc.tuple(fc.stringMatching(/^(?:user|security)\.[a-z.é]{1,9}$/), fc.uint8Array({ maxLength: 40 })), {
    maxLength: 3,
  })
  .map((pairs) => new Map(pairs.map(([key, value]) => [key, Buffer.from(value)])));
const common = {
  path,
  mode: fc.nat(0o7777),
  uid: fc.oneof(fc.nat(0o7777777), fc.nat(2 ** 32 - 2)),
  gid: fc.oneof(fc.nat(0o7777777), fc.nat(2 ** 32 - 2)),
  mtime: fc.record({
    seconds: fc.oneof(fc.nat(2 ** 31), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
    nanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  }),
  xattrs,
};

/** Entries of every kind with everything that a tar can hold, and their contents. */
export const tarFixtures: fc.Arbitrary<TarFixture> = fc.oneof(
  fc.record({ ...common, content: fc.uint8Array({ maxLength: 1500 }) }).map(({ content, ...entry }) => ({
    entry: { ...entry, type: 'file' as const, size: content.length },
    content: Buffer.from(content),
  })),
  fc.record({ ...common, type: fc.constantFrom('directory' as const, 'fifo' as const) }).map(withoutContent),
  fc.record({ ...common, type: fc.constant('symlink' as const), linkPath: target }).map(withoutContent),
  fc.record({ ...common, type: fc.constant('hardlink' as const), linkPath: path }).map(withoutContent),
  fc
    .record({
      ...common,
      type: fc.constantFrom('character-device' as const, 'block-device' as const),
      deviceMajor: fc.nat(4095),
      deviceMinor: fc.nat(1_048_575),
    })
    .map(withoutContent),
);

function withoutContent(entry: Omit<TarEntry, 'size'>): TarFixture {
  return { entry: { ...entry, size: 0 }, content: Buffer.alloc(0) };
}
