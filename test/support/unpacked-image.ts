import { lstatSync, readFileSync, readlinkSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { checkProgram } from './run-program.ts';

/** What a path of an image must be. A string is a regular file's content, `null` means that nothing may be there. */
export type ExpectedFile =
  | string
  | null
  | {
      readonly type?: 'file' | 'directory' | 'symlink' | 'fifo' | 'character-device' | 'block-device' | 'socket';
      /** All twelve bits, as `ls` and chmod write them: `4755`. */
      readonly mode?: string;
      readonly uid?: number;
      readonly gid?: number;
      readonly content?: string;
      /** A regular expression for the content. */
      readonly matches?: string;
      /** Where a symbolic link points. */
      readonly link?: string;
      /** Exactly the names in a directory, in any order. */
      readonly entries?: readonly string[];
      /** The same in hexadecimal, for names that are no text. */
      readonly entriesHex?: readonly string[];
      /** A path that must be the same file. */
      readonly sameAs?: string;
      readonly nlink?: number;
      /** Seconds since the epoch. */
      readonly mtime?: number;
      readonly size?: number;
      /** As getcap prints it, without the path. */
      readonly capability?: string;
    };

/** An image of an OCI layout that umoci has unpacked as a runtime bundle. */
export interface UnpackedImage extends AsyncDisposable {
  readonly bundle: string;
  readonly rootfs: string;
}

/** Unpacks the image `refName` of a layout by umoci; disposing removes it. */
export async function unpackImage(layout: string, refName: string): Promise<UnpackedImage> {
  const folder = await mkdtemp(join(tmpdir(), 'tsbuild-bundle-'));
  const bundle = join(folder, 'bundle');
  await checkProgram('umoci', ['unpack', '--image', `${layout}:${refName}`, bundle]);
  return {
    bundle,
    rootfs: join(bundle, 'rootfs'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Compares paths of a root directory with what they must be; all differences at once. */
export async function expectFiles(rootfs: string, files: Readonly<Record<string, ExpectedFile>>): Promise<void> {
  const actual: Record<string, ExpectedFile> = {};
  for (const [path, expected] of Object.entries(files)) {
    actual[path] = await describeFile(rootfs, path, expected);
  }
  expect(actual).toEqual(files);
}

/** What is at `path`, described in the same words as `expected`, so that the two can be compared whole. */
async function describeFile(rootfs: string, path: string, expected: ExpectedFile): Promise<ExpectedFile> {
  const place = join(rootfs, path);
  const info = lstatSync(place, { throwIfNoEntry: false });
  if (info === undefined) return null;
  if (expected === null) return { type: typeOf(place) };
  if (typeof expected === 'string') return info.isFile() ? readFileSync(place, 'utf8') : { type: typeOf(place) };
  const facts: Readonly<Record<keyof typeof expected, () => unknown>> = {
    type: () => typeOf(place),
    mode: () => (info.mode & 0o7777).toString(8).padStart(expected.mode?.length ?? 0, '0'),
    uid: () => info.uid,
    gid: () => info.gid,
    nlink: () => info.nlink,
    size: () => info.size,
    mtime: () => Math.floor(info.mtimeMs / 1000),
    content: () => (info.isFile() ? readFileSync(place, 'utf8') : undefined),
    matches: () => matching(info.isFile() ? readFileSync(place, 'utf8') : '', expected.matches ?? ''),
    link: () => (info.isSymbolicLink() ? readlinkSync(place) : undefined),
    entries: () => inOrderOf(info.isDirectory() ? readdirSync(place) : [], expected.entries ?? []),
    entriesHex: () =>
      readdirSync(place, { encoding: 'buffer' })
        .map((name) => name.toString('hex'))
        .toSorted(),
    sameAs: () => (statSync(join(rootfs, expected.sameAs ?? '')).ino === info.ino ? expected.sameAs : 'another file'),
    capability: () => undefined,
  };
  const described = Object.keys(expected).map((key) => [key, facts[key as keyof typeof facts]()]);
  if (expected.capability !== undefined) described.push(['capability', await capabilityOf(place)]);
  return Object.fromEntries(described) as ExpectedFile;
}

function typeOf(place: string): NonNullable<Exclude<ExpectedFile, string | null>['type']> {
  const info = lstatSync(place);
  if (info.isFile()) return 'file';
  if (info.isDirectory()) return 'directory';
  if (info.isSymbolicLink()) return 'symlink';
  if (info.isFIFO()) return 'fifo';
  if (info.isSocket()) return 'socket';
  return info.isBlockDevice() ? 'block-device' : 'character-device';
}

/** The pattern itself where the text matches it, so that equality says what is wrong. */
function matching(text: string, pattern: string): string {
  return new RegExp(pattern).test(text) ? pattern : text;
}

/** The same names as expected in the expected order, where the sets are equal. */
function inOrderOf(names: readonly string[], expected: readonly string[]): readonly string[] {
  const same = names.length === expected.length && expected.every((name) => names.includes(name));
  return same ? expected : names.toSorted();
}

async function capabilityOf(place: string): Promise<string> {
  const printed = (await checkProgram('getcap', [place])).trim();
  return printed.slice(place.length).trim().replace(/^= /, '');
}
