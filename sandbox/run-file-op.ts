import { writeSync } from 'node:fs';
import { BuildError, invariant, isErrno } from '../src/core/error.ts';
import type { CopyAction, FileAction, MkdirAction, WriteAction } from '../src/core/graph.ts';
import { baseName, type ByteString, fromText, parentPath, toText } from './byte-string.ts';
import { copyFiles } from './copy-action.ts';
import { Destination } from './destination.ts';
import { NO_XATTRS } from './extended-attributes.ts';
import type { FileCalls, FileOpRequest, FilesRead, JobContext } from './file-jobs.ts';
import type { FileStat } from './file-stat.ts';
import { FileStates } from './file-states.ts';
import { LayerWriter } from './layer-writer.ts';
import { madeBy, type MadeBy } from './made-by.ts';
import { hostError, openSourceTree } from './source-tree.ts';
import { storeError } from './store-error.ts';
import { syscalls } from './syscalls.ts';
import { resolveOwnership } from './user-lookup.ts';

/** Does a file operation's actions, all into one layer (see `FileBackend.run`). */
export async function runFileOp(
  request: FileOpRequest,
  context: JobContext,
): Promise<FileCalls['runFileOp']['result']> {
  const lower = request.op.base === 'input' ? directoriesOf(request, 0) : [];
  const read = new Map<number, FilesRead>();
  try {
    using writer = new LayerWriter({ upper: request.upper, lower, xattrs: request.xattrs });
    for (const [index, action] of request.op.actions.entries()) {
      const files = await runAction({ request, writer, context }, action);
      if (files !== undefined) read.set(index, files);
    }
    writer.finish();
    return { read };
  } catch (error) {
    throw fileError(error, request);
  }
}

interface Run {
  readonly request: FileOpRequest;
  readonly writer: LayerWriter;
  readonly context: JobContext;
}

async function runAction(run: Run, action: FileAction): Promise<FilesRead | undefined> {
  switch (action.type) {
    case 'copy':
      return copy(run, action);
    case 'mkdir':
      makeDirectory(run.writer, action, describe(run, action));
      return undefined;
    case 'write':
      writeFile(run.writer, action, describe(run, action));
      return undefined;
  }
}

async function copy(run: Run, action: CopyAction): Promise<FilesRead | undefined> {
  const tree = run.request.inputs[action.from];
  invariant(tree !== undefined, `input ${action.from} of a file operation`);
  using source = openSourceTree(tree);
  const states = new FileStates();
  const onFile = (stat: FileStat, path: ByteString): void => {
    run.context.checkpoint();
    if (stat.type === 'file') states.add(stat, path);
  };
  const made = describe(run, action, source.kind);
  try {
    await copyFiles({ action, source, writer: run.writer, made, onFile });
  } catch (error) {
    throw hostError(error, source);
  }
  if (source.kind !== 'host') return undefined;
  const latest = states.latestChange;
  return { state: states.digest(), latest: latest && `/${toText(latest)}` };
}

function makeDirectory(writer: LayerWriter, action: MkdirAction, made: MadeBy): void {
  const path = writer.resolve(fromText(action.path));
  const type = writer.typeAt(path);
  if (type === 'directory') return;
  if (type !== undefined || writer.blockedAt(path) !== undefined) {
    throw new BuildError('PATH_INVALID', {
      path: action.path,
      reason: 'cannot be made a directory: something else is there',
    });
  }
  const parent = writer.directory(parentPath(path), made.implied);
  writer.makeDirectory(parent, baseName(path), { ...made.implied(path), mode: action.mode });
}

function writeFile(writer: LayerWriter, action: WriteAction, made: MadeBy): void {
  const { directory, as } = new Destination({ dest: action.dest, writer, made, files: 1 }).forFile(
    fromText(action.name),
  );
  const standing = writer.standing(directory, as);
  if (standing?.stat.type === 'directory') {
    throw new BuildError('COPY_INVALID', { path: action.dest, reason: 'a file cannot replace the directory there' });
  }
  if (standing?.where === 'upper') writer.remove(directory, as);
  const fd = writer.createFile(directory, as);
  try {
    for (let at = 0; at < action.data.length;) at += writeSync(fd, action.data, at);
    const { uid, gid, mtime } = made.implied(as);
    writer.describe(fd, { uid, gid, mtime, mode: made.change?.(0o644, 'other') ?? 0o644, xattrs: NO_XATTRS });
  } finally {
    syscalls().close(fd);
  }
}

function describe(run: Run, action: FileAction, source: 'host' | 'layers' = 'host'): MadeBy {
  const { op, nowSeconds } = run.request;
  return madeBy({
    action,
    owner: action.owner && resolveOwnership(userDirectories(run.request), action.owner),
    source,
    mtime: op.epochSeconds === undefined ? undefined : { seconds: op.epochSeconds, nanoseconds: 0 },
    now: { seconds: nowSeconds, nanoseconds: 0 },
  });
}

/** The tree whose passwd and group count. */
function userDirectories(request: FileOpRequest): readonly string[] {
  const { base, users } = request.op;
  if (users !== undefined) return directoriesOf(request, users);
  return base === 'input' ? directoriesOf(request, 0) : [];
}

function directoriesOf(request: FileOpRequest, input: number): readonly string[] {
  const tree = request.inputs[input];
  invariant(tree?.kind === 'layers', `input ${input} of a file operation is a stack of layers`);
  return tree.directories;
}

/** Names that the file system cannot hold are the user's; a full disk is the store's. */
function fileError(error: unknown, request: FileOpRequest): unknown {
  if (isErrno(error, 'ENAMETOOLONG', 'EMLINK')) {
    return new BuildError(
      'COPY_INVALID',
      { path: error.message, reason: 'the file system of the store cannot hold this name' },
      { cause: error },
    );
  }
  return storeError(error, request.upper);
}
