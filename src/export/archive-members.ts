import { createReadStream } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BuildError, isErrno } from '../core/error.ts';
import { decompress, detectCompression } from '../oci/compression.ts';
import { FormatError } from '../oci/format-error.ts';
import { readTar } from '../oci/tar-reader.ts';

/** One file of an archive that is read. */
export type ArchiveMember =
  | { readonly kind: 'file'; readonly path: string; readonly size: number; readonly body: AsyncIterable<Uint8Array> }
  /** Another name for the member `target`, as old versions of docker write layers that images share. */
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/** More members than any image has. */
const MAX_MEMBERS = 100_000;
const HEAD_BYTES = 6;

/**
 * The members of an archive: a tar, perhaps compressed, as a stream or file, or a directory. A member's body must be read, if at all,
 * before the next one is asked for.
 * @throws ARCHIVE_INVALID
 */
export async function* archiveMembers(input: string | AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveMember> {
  const name = typeof input === 'string' ? input : '-';
  try {
    if (typeof input !== 'string') yield* tarMembers(input);
    else if ((await stat(input)).isDirectory()) yield* directoryMembers(input);
    else yield* tarMembers(createReadStream(input, { highWaterMark: 1024 * 1024 }));
  } catch (error) {
    if (error instanceof FormatError || isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) {
      throw new BuildError('ARCHIVE_INVALID', { path: name, reason: error.message }, { cause: error });
    }
    throw error;
  }
}

async function* tarMembers(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveMember> {
  for await (const { entry, body } of readTar(await decompressed(source), { entries: MAX_MEMBERS })) {
    const path = entry.path.toString();
    switch (entry.type) {
      case 'directory':
        break;
      case 'file':
        yield { kind: 'file', path, size: entry.size, body };
        break;
      case 'hardlink':
        yield { kind: 'link', path, target: (entry.linkPath ?? entry.path).toString() };
        break;
      case 'symlink':
        yield { kind: 'link', path, target: symlinkTarget(path, (entry.linkPath ?? entry.path).toString()) };
        break;
      case 'character-device':
      case 'block-device':
      case 'fifo':
        throw new FormatError(`${JSON.stringify(path)} is a ${entry.type}`);
    }
  }
}

/** Links are only names for other members: nothing is ever opened through them. */
function symlinkTarget(path: string, target: string): string {
  return posix.normalize(posix.join(posix.dirname(path), target));
}

/** Those files of an image layout that tsbuild knows; links in it are left alone. */
async function* directoryMembers(root: string): AsyncGenerator<ArchiveMember> {
  for (const directory of ['', 'blobs/sha256']) {
    if (!(await isPlainPath(root, directory))) continue;
    for (const entry of await readdir(join(root, directory), { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = posix.join(directory, entry.name);
      const { size } = await lstat(join(root, path));
      yield { kind: 'file', path, size, body: createReadStream(join(root, path), { highWaterMark: 1024 * 1024 }) };
    }
  }
}

async function isPlainPath(root: string, directory: string): Promise<boolean> {
  const parts = directory.split('/').filter((part) => part !== '');
  for (const [place] of parts.entries()) {
    try {
      if (!(await lstat(join(root, ...parts.slice(0, place + 1)))).isDirectory()) return false;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }
  return true;
}

/** An archive's bytes, decompressed where they are compressed. @throws FormatError for a compression that is not known */
export async function decompressed(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let headBytes = 0;
  while (headBytes < HEAD_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    head.push(next.value);
    headBytes += next.value.byteLength;
  }
  const compression = detectCompression(Buffer.concat(head));
  if (compression === 'bzip2' || compression === 'xz') {
    throw new FormatError(`it is compressed with ${compression}: unpack it first`);
  }
  return decompress(resumed(head, iterator), compression);
}

async function* resumed(head: readonly Uint8Array[], iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
