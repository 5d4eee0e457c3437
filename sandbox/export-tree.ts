import { BuildError, isErrno, messageOf } from '../src/core/error.ts';
import { joinPath, type ByteString } from './byte-string.ts';
import { contentXattrs, NO_XATTRS } from './extended-attributes.ts';
import type { FileCalls, FileSources, JobContext } from './file-jobs.ts';
import { type FileStat, identityKey } from './file-stat.ts';
import type { Metadata } from './layer-target.ts';
import { LayerWriter } from './layer-writer.ts';
import { makeDirectory } from './make-directory.ts';
import { syscalls } from './syscalls.ts';
import { hardLinkEntry, tarEntryOf } from './tar-entry-of.ts';
import { TarOutput } from './tar-output.ts';
import {
  listNames,
  lookupEntry,
  openEntry,
  openFile,
  openTree,
  readLink,
  type TreeDirectory,
  type TreeEntry,
} from './tree-directory.ts';
import { TreeCopier } from './tree-copier.ts';
import { type TreeVisitor, walkTree } from './tree-walk.ts';

/** Writes a whole tree into a directory of the host (see `FileBackend.exportTo`). @throws OUTPUT_FAILED */
export function exportFiles({ directories, to }: FileCalls['exportFiles']['args'], context: JobContext): undefined {
  try {
    makeDirectory(to);
    if (directories.length === 0) return;
    using tree = openTree(directories.toReversed());
    using writer = new LayerWriter({ upper: to, lower: [], xattrs: 'user', owners: 'caller' });
    const copier = new TreeCopier(writer, { describe: exported, onFile: context.checkpoint, conflicts: 'replace' });
    copier.goTo(writer.directory('' as ByteString, unexpected), '' as ByteString);
    walkTree(
      {
        directory: tree,
        path: '' as ByteString,
        filter: { hidden: undefined, excluded: undefined, included: undefined },
      },
      withoutDevices(copier),
    );
    writer.finish();
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'ENOSPC', 'EROFS', 'EDQUOT', 'ENOTDIR', 'EEXIST')) throw error;
    throw new BuildError('OUTPUT_FAILED', { path: to, reason: messageOf(error) }, { cause: error });
  }
}

/** Owners and extended attributes stay behind. */
function exported({ mode, mtime }: FileStat): Metadata {
  return { mode, uid: 0, gid: 0, mtime, xattrs: NO_XATTRS };
}

function unexpected(path: ByteString): never {
  throw new Error(`bug in tsbuild: ${JSON.stringify(path)} is the root`);
}

/** The host is given no device nodes: whoever can read them there could reach its disks. */
function withoutDevices(copier: TreeCopier): TreeVisitor {
  return {
    enter: (path, entry, directory) => copier.enter(path, entry, directory),
    leave: () => copier.leave(),
    file: (path, entry) => {
      if (entry.stat.type !== 'character-device' && entry.stat.type !== 'block-device') copier.file(path, entry);
    },
  };
}

/** A whole tree as a tar stream (see `FileBackend.exportTar`). */
export function* exportTar(
  { directories, epochSeconds }: FileSources['exportTar']['args'],
  context: JobContext,
): Generator<Uint8Array, void> {
  const out = new TarOutput(epochSeconds);
  if (directories.length > 0) {
    using tree = openTree(directories.toReversed());
    yield* new TreeTar(out, context).directory(tree, '' as ByteString);
  }
  out.end();
  yield* out.drain();
}

class TreeTar {
  readonly #out: TarOutput;
  readonly #context: JobContext;
  readonly #linked = new Map<string, ByteString>();

  constructor(out: TarOutput, context: JobContext) {
    this.#out = out;
    this.#context = context;
  }

  *directory(directory: TreeDirectory, path: ByteString): Generator<Buffer, void> {
    for (const name of listNames(directory)) {
      const entry = lookupEntry(directory, name);
      if (entry !== undefined) yield* this.#entry(entry, joinPath(path, name));
      if (this.#out.hasFull) yield* this.#out.drain();
    }
  }

  *#entry(entry: TreeEntry, path: ByteString): Generator<Buffer, void> {
    const { stat } = entry;
    this.#context.checkpoint();
    const first = stat.links > 1 && stat.type !== 'directory' ? this.#linked.get(identityKey(stat)) : undefined;
    if (first !== undefined) return this.#out.header(hardLinkEntry(path, stat, first));
    if (stat.links > 1) this.#linked.set(identityKey(stat), path);
    if (stat.type === 'directory') {
      using directory = openEntry(entry);
      this.#add(tarEntryOf(path, stat, { xattrs: contentXattrs(directory.top) }));
      yield* this.directory(directory, path);
    } else if (stat.type === 'file') yield* this.#file(entry, path);
    else if (stat.type === 'symlink') this.#add(tarEntryOf(path, stat, { target: readLink(entry) }));
    else this.#add(tarEntryOf(path, stat));
    return undefined;
  }

  *#file(entry: TreeEntry, path: ByteString): Generator<Buffer, void> {
    const fd = openFile(entry);
    try {
      this.#add(tarEntryOf(path, entry.stat, { xattrs: contentXattrs(fd) }));
      yield* this.#out.content(fd, entry.stat.size);
    } finally {
      syscalls().close(fd);
    }
  }

  #add(entry: ReturnType<typeof tarEntryOf>): void {
    if (entry !== undefined) this.#out.header(entry);
  }
}
