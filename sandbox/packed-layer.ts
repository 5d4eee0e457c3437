import {
  closeSync,
  constants,
  copyFileSync,
  linkSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { LayerTar } from '../src/core/layer-codec.ts';
import { BuildError, invariant, isErrno } from '../src/core/error.ts';
import { Digester, isDigest } from '../src/oci/digest.ts';
import type { TarEntry } from '../src/oci/tar-header.ts';
import { type TarHandler, TarParser } from '../src/oci/tar-reader.ts';
import type { ByteString } from './byte-string.ts';
import type { FileCalls, JobContext } from './file-jobs.ts';
import type { Metadata } from './layer-target.ts';
import type { OverlayXattrs } from './extended-attributes.ts';
import { writeOutline } from './layer-outline.ts';
import { LayerWriter } from './layer-writer.ts';
import { storeError } from './store-error.ts';
import type { PackedTar } from './tar-layer.ts';
import { TarUnpacker } from './tar-unpacker.ts';

/*
 * A packed layer is a directory of three files: the tar, what it does not tell, and a time for each entry. Unpacking it needs no other
 * layer: all parents are in the tar.
 */
const TAR = 'layer.tar';
const RECORD = 'layer.json';
const NANOSECONDS = 'nanoseconds';

const READ_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(64 << 10);

const recordSchema = v.object({
  diffId: v.custom<LayerTar['diffId']>((value) => typeof value === 'string' && isDigest(value)),
  size: v.number(),
  root: v.object({
    mode: v.number(),
    uid: v.number(),
    gid: v.number(),
    mtime: v.object({ seconds: v.number(), nanoseconds: v.number() }),
    xattrs: v.array(v.tuple([v.string(), v.string()])),
  }),
});

/** The path of a packed layer's tar, to be written or linked. */
export function packedTarPath(directory: string): string {
  return join(directory, TAR);
}

/** Completes a packed layer whose tar is written. */
export function writePackedRecord(directory: string, tar: PackedTar, xattrs: OverlayXattrs): void {
  writeOutline(directory, tar, xattrs);
  const { diffId, size, root, nanoseconds } = tar;
  const { mode, uid, gid, mtime } = root;
  const { buffer, byteOffset, byteLength } = nanoseconds;
  writeFileSync(join(directory, NANOSECONDS), new Uint8Array(buffer, byteOffset, byteLength), { mode: 0o600 });
  const record: v.InferInput<typeof recordSchema> = {
    diffId,
    size,
    root: {
      mode,
      uid,
      gid,
      mtime,
      xattrs: Array.from(root.xattrs, ([name, value]) => [name, value.toString('base64')]),
    },
  };
  writeFileSync(join(directory, RECORD), JSON.stringify(record), { mode: 0o600 });
}

/** Gives the tar of a packed layer the further name `to`, or copies it there; `undefined` where there is no packed layer (any more). */
export function linkPackedTar(directory: string, to: string): LayerTar | undefined {
  try {
    const { diffId, size } = readRecord(directory);
    linkOrCopy(join(directory, TAR), to);
    return { diffId, size };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Removes a packed layer that is unpacked now. The outline stays: somebody may be looking at it. */
export function dropPackedTar(directory: string): void {
  for (const name of [RECORD, TAR, NANOSECONDS]) rmSync(join(directory, name), { force: true });
}

/** Unpacks a packed layer into an empty directory of changes. @throws DIGEST_MISMATCH for a tar that is not what it was. */
export function unpackLayer(
  { packed, upper, xattrs }: FileCalls['unpackLayer']['args'],
  context: JobContext,
): FileCalls['unpackLayer']['result'] {
  const { diffId, root } = readRecord(packed);
  const times = readFileSync(join(packed, NANOSECONDS));
  try {
    using writer = new LayerWriter({ upper, lower: [], xattrs });
    writer.describeDirectory(writer.directory('' as ByteString, unexpected), rootMetadata(root));
    using unpacker = new TarUnpacker({ writer, at: '' as ByteString, whiteouts: 'apply' });
    const parser = new TarParser(withTarLosses(unpacker, times));
    const digester = new Digester();
    for (const chunk of chunksOf(join(packed, TAR))) {
      context.checkpoint();
      digester.update(chunk);
      parser.push(chunk);
    }
    parser.finish();
    unpacker.finish();
    writer.finish();
    const actual = digester.digest();
    if (actual !== diffId)
      throw new BuildError('DIGEST_MISMATCH', { what: 'a layer of the store', expected: diffId, actual });
  } catch (error) {
    throw storeError(error, upper);
  }
}

function readRecord(directory: string): v.InferOutput<typeof recordSchema> {
  return v.parse(recordSchema, JSON.parse(readFileSync(join(directory, RECORD), 'utf8')));
}

function rootMetadata({ xattrs, ...rest }: v.InferOutput<typeof recordSchema>['root']): Metadata {
  return { ...rest, xattrs: new Map(xattrs.map(([name, value]) => [name, Buffer.from(value, 'base64')])) };
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!isErrno(error, 'EXDEV', 'EPERM', 'EMLINK', 'EOPNOTSUPP', 'ENOTSUP')) throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

/** Gives back what the tar does not hold: fractions of seconds, and holes. */
function withTarLosses(inner: TarHandler, times: Buffer): TarHandler {
  let at = 0;
  return {
    entry: (entry: TarEntry) => {
      invariant(at + 4 <= times.length, 'a packed layer has a time for each entry');
      const { seconds } = entry.mtime;
      inner.entry({ ...entry, mtime: { seconds, nanoseconds: times.readUInt32LE(at) } });
      at += 4;
    },
    data: (chunk) => {
      for (let start = 0; start < chunk.length; start += ZEROS.length) {
        const part = chunk.subarray(start, start + ZEROS.length);
        if (ZEROS.compare(part, 0, part.length, 0, part.length) === 0) inner.hole?.(part.length);
        else inner.data(part);
      }
    },
    end: () => inner.end(),
  };
}

/** The file's bytes, each piece to be used before the next is asked for. */
function* chunksOf(path: string): Generator<Buffer, void> {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const read = readSync(fd, buffer);
      if (read === 0) return;
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}

function unexpected(path: ByteString): never {
  throw new Error(`bug in tsbuild: ${JSON.stringify(path)} is the root`);
}
