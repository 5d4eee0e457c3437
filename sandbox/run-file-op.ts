import { mkdirSync, rmSync } from 'node:fs';
import { BuildError, invariant, isErrno } from '../src/core/error.ts';
import type { CopyAction, FileAction, MkdirAction, WriteAction } from '../src/core/graph.ts';
import { baseName, type ByteString, fromText, parentPath, toText } from './byte-string.ts';
import { copyFiles, isLarge } from './copy-action.ts';
import { Clashes, Destination } from './destination.ts';
import { NO_XATTRS } from './extended-attributes.ts';
import type { FileCalls, FileOpRequest, FilesRead, JobContext } from './file-jobs.ts';
import type { FileStat } from './file-stat.ts';
import { FileStates } from './file-states.ts';
import { blockedAt, type LayerTarget } from './layer-target.ts';
import { LayerWriter } from './layer-writer.ts';
import { madeBy, type MadeBy } from './made-by.ts';
import { packedTarPath, writePackedRecord } from './packed-layer.ts';
import { hostError, openSourceTree } from './source-tree.ts';
import { storeError } from './store-error.ts';
import { TarFile } from './tar-file.ts';
import { NotInOnePass, TarLayer } from './tar-layer.ts';
import { resolveOwnership } from './user-lookup.ts';

/** What a heredoc's file has before --chmod. */
const DOCUMENT_MODE = 0o644;

/** Does a file operation's actions, all into one layer (see `FileBackend.run`). */
export async function runFileOp(
  request: FileOpRequest,
  context: JobContext,
): Promise<FileCalls['runFileOp']['result']> {
  try {
    return (await runPacked(request, context)) ?? (await runUnpacked(request, context));
  } catch (error) {
    throw fileError(error, request);
  }
}

/** Writes the layer as its tar: nothing needs it unpacked yet, and many layers nothing ever does. `undefined` where that is not possible. */
async function runPacked(
  request: FileOpRequest,
  context: JobContext,
): Promise<FileCalls['runFileOp']['result'] | undefined> {
  if (!isWorthPacking(request)) return undefined;
  mkdirSync(request.packed, { mode: 0o700 });
  try {
    await using file = new TarFile(packedTarPath(request.packed));
    using writer = new TarLayer({ file, lower: lowerOf(request), xattrs: request.xattrs });
    const read = await runActions({ request, writer, unpacked: undefined, context });
    writePackedRecord(request.packed, await writer.finish(), request.xattrs);
    return { form: 'packed', read };
  } catch (error) {
    if (!(error instanceof NotInOnePass)) throw error;
    rmSync(request.packed, { recursive: true });
    return undefined;
  }
}

async function runUnpacked(request: FileOpRequest, context: JobContext): Promise<FileCalls['runFileOp']['result']> {
  using writer = new LayerWriter({ upper: request.upper, lower: lowerOf(request), xattrs: request.xattrs });
  const read = await runActions({ request, writer, unpacked: writer, context });
  writer.finish();
  return { form: 'unpacked', read };
}

function isWorthPacking({ op, inputs, form }: FileOpRequest): boolean {
  const [action] = op.actions;
  if (form === 'unpacked' || action?.type !== 'copy' || op.actions.length > 1) return false;
  const tree = inputs[action.from];
  invariant(tree !== undefined, `input ${action.from} of a file operation`);
  using source = openSourceTree(tree);
  try {
    return isLarge(source, action);
  } catch (error) {
    throw hostError(error, source);
  }
}

interface Run {
  readonly request: FileOpRequest;
  readonly writer: LayerTarget;
  /** The same, where it is a directory of changes. */
  readonly unpacked: LayerWriter | undefined;
  readonly clashes: Clashes;
  readonly context: JobContext;
}

async function runActions(work: Omit<Run, 'clashes'>): Promise<ReadonlyMap<number, FilesRead>> {
  const run: Run = { ...work, clashes: new Clashes(work.request.op.clash ?? 'refuse') };
  const read = new Map<number, FilesRead>();
  for (const [index, action] of run.request.op.actions.entries()) {
    const files = await runAction(run, action);
    if (files !== undefined) read.set(index, files);
  }
  return read;
}

async function runAction(run: Run, action: FileAction): Promise<FilesRead | undefined> {
  switch (action.type) {
    case 'copy':
      return copy(run, action);
    case 'mkdir':
      makeDirectory(run.writer, action, describe(run, action));
      return undefined;
    case 'write':
      writeFile(run, action);
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
    const { writer, unpacked, clashes } = run;
    await copyFiles({ action, source, writer, unpacked, made, clashes, onFile });
  } catch (error) {
    throw hostError(error, source);
  }
  if (source.kind !== 'host') return undefined;
  const latest = states.latestChange;
  return { state: states.digest(), latest: latest && `/${toText(latest)}` };
}

function makeDirectory(writer: LayerTarget, action: MkdirAction, made: MadeBy): void {
  const path = writer.resolve(fromText(action.path));
  const type = writer.typeAt(path);
  if (type === 'directory') return;
  if (type !== undefined || blockedAt(writer, path) !== undefined) {
    throw new BuildError('PATH_INVALID', {
      path: action.path,
      reason: 'cannot be made a directory: something else is there',
    });
  }
  const parent = writer.directory(parentPath(path), made.implied);
  writer.leave(writer.enterNew(parent, baseName(path), { ...made.implied(path), mode: action.mode }));
}

function writeFile(run: Run, action: WriteAction): void {
  const { writer, clashes } = run;
  const made = describe(run, action);
  const place = new Destination({ dest: action.dest, writer, made, clashes });
  const { directory, as } = place.forFile(fromText(action.name));
  const standing = writer.standing(directory, as);
  if (standing?.stat.type === 'directory') {
    throw new BuildError('COPY_INVALID', { path: action.dest, reason: 'a file cannot replace the directory there' });
  }
  if (standing?.where === 'upper') writer.remove(directory, as);
  const { uid, gid, mtime } = made.implied(as);
  const metadata = { uid, gid, mtime, mode: made.change?.(DOCUMENT_MODE, 'other') ?? DOCUMENT_MODE, xattrs: NO_XATTRS };
  writer.addFile(directory, as, { from: action.data, size: action.data.length, metadata, verify: () => undefined });
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

/** The layers that the operation's own goes on, oldest first. */
function lowerOf(request: FileOpRequest): readonly string[] {
  return request.op.base === 'input' ? directoriesOf(request, 0) : [];
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
