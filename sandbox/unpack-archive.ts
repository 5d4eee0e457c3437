import { readSync } from 'node:fs';
import type { IgnoreMatcher } from '../src/core/glob.ts';
import type { CopyAction } from '../src/core/graph.ts';
import { BuildError, isBuildError, messageOf } from '../src/core/error.ts';
import { decompress, detectCompression } from '../src/oci/compression.ts';
import { FormatError } from '../src/oci/format-error.ts';
import { decodeHeader, TAR_BLOCK } from '../src/oci/tar-header.ts';
import { TarParser } from '../src/oci/tar-reader.ts';
import { toText, type ByteString } from './byte-string.ts';
import { decompressByProgram } from './decompress-program.ts';
import { checkUnchanged } from './file-digest.ts';
import { statOf } from './file-stat.ts';
import type { LayerWriter } from './layer-writer.ts';
import type { MadeBy } from './made-by.ts';
import { syscalls } from './syscalls.ts';
import { TarUnpacker, type UnpackTarget } from './tar-unpacker.ts';
import { openFile, type TreeEntry } from './tree-directory.ts';

/** An archive that ADD may have to unpack. */
export interface ArchiveRequest {
  readonly request: {
    readonly action: Pick<CopyAction, 'unpack'>;
    readonly writer: LayerWriter;
    readonly made: MadeBy;
  };
  readonly entry: TreeEntry;
  /** For messages. */
  readonly path: ByteString;
  readonly excluded: IgnoreMatcher | undefined;
  /** Makes the directory that the content goes to; gives its real path. */
  readonly at: () => ByteString;
}

/**
 * Unpacks a file that is a tar archive by its content, compressed or not; its name says nothing. Gives false for any other file, which is
 * then to be copied. @throws ARCHIVE_INVALID for a damaged archive, and for `unpack: 'always'` on what is none.
 */
export async function unpackArchive(o: ArchiveRequest): Promise<boolean> {
  const fd = openFile(o.entry);
  const path = `/${toText(o.path)}`;
  try {
    const content = contentOf(fd)[Symbol.asyncIterator]();
    const head = await firstBlock(content, path);
    if (head === undefined) {
      if (o.request.action.unpack === 'always')
        throw new BuildError('ARCHIVE_INVALID', { path, reason: 'it is no tar archive, compressed or not' });
      return false;
    }
    await unpack(o, head, content);
    checkUnchanged(statOf(fd), o.entry.stat, o.path);
    return true;
  } catch (error) {
    if (error instanceof FormatError)
      throw new BuildError('ARCHIVE_INVALID', { path, reason: messageOf(error) }, { cause: error });
    throw error;
  } finally {
    syscalls().close(fd);
  }
}

async function unpack(o: ArchiveRequest, head: Buffer, rest: AsyncIterator<Uint8Array>): Promise<void> {
  const { writer, made } = o.request;
  const { excluded } = o;
  const target: UnpackTarget = {
    writer,
    at: o.at(),
    whiteouts: 'refuse',
    adjust: adjustment(made),
    ...(excluded !== undefined && { excludes: (path) => excluded.matches(toText(path)) }),
  };
  using unpacker = new TarUnpacker(target);
  const parser = new TarParser(unpacker);
  try {
    parser.push(head);
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) parser.push(next.value);
    parser.finish();
    unpacker.finish();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(
      unpacker.current === '' ? error.message : `entry ${JSON.stringify(unpacker.current)}: ${error.message}`,
    );
  } finally {
    await rest.return?.();
  }
}

/** --chown and --chmod hold for all that comes out, a date for all times. */
function adjustment({ owner, change, mtime }: MadeBy): NonNullable<UnpackTarget['adjust']> {
  return (metadata, type) => ({
    ...metadata,
    ...owner,
    ...(mtime !== undefined && { mtime }),
    ...(change !== undefined &&
      type !== 'symlink' && { mode: change(metadata.mode, type === 'directory' ? 'directory' : 'other') }),
  });
}

/** The first bytes of the content, if they begin with the header of a tar. */
async function firstBlock(content: AsyncIterator<Uint8Array>, path: string): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    while (size < TAR_BLOCK) {
      const next = await content.next();
      if (next.done === true) break;
      chunks.push(Buffer.from(next.value));
      size += next.value.length;
    }
    const head = Buffer.concat(chunks);
    if (head.length < TAR_BLOCK || head.subarray(0, TAR_BLOCK).every((byte) => byte === 0)) return undefined;
    decodeHeader(head.subarray(0, TAR_BLOCK));
    return head;
  } catch (error) {
    if (isBuildError(error)) throw error;
    if (error instanceof FormatError) return undefined;
    throw new BuildError('ARCHIVE_INVALID', { path, reason: messageOf(error) }, { cause: error });
  }
}

/** What the open file holds once decompressed. */
function contentOf(fd: number): AsyncIterable<Uint8Array> {
  const head = Buffer.alloc(16);
  const compression = detectCompression(head.subarray(0, readSync(fd, head, 0, head.length, 0)));
  if (compression === 'bzip2' || compression === 'xz') return decompressByProgram(compression, bytesOf(fd));
  return decompress(bytesOf(fd), compression);
}

async function* bytesOf(fd: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const chunk = Buffer.allocUnsafe(256 << 10);
    const read = readSync(fd, chunk, 0, chunk.length, at);
    if (read === 0) return;
    at += read;
    yield chunk.subarray(0, read);
  }
}
