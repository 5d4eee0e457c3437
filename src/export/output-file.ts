import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BuildError, isBuildError, isErrno, messageOf } from '../core/error.ts';
import { makeDirectory } from './make-directory.ts';

/** Where an output's bytes go: a path, or with `dest: '-'` the stream. */
export interface OutputPlace {
  readonly dest: string;
  readonly stdout?: NodeJS.WritableStream | undefined;
}

/**
 * Writes `bytes` to a file, which appears when it is whole: it is written beside and renamed. A pipe or device is written to directly.
 * @throws OUTPUT_FAILED, also for a symbolic link or a directory at `dest`; nothing half-written stays then.
 */
export async function writeOutput(place: OutputPlace, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (place.dest === '-') {
    if (place.stdout === undefined) throw failed('-', 'there is no standard output to write to');
    return writeToStream(place.stdout, bytes);
  }
  const dest = resolve(place.dest);
  return outputErrors(dest, async () => {
    const kind = await kindOf(dest);
    if (kind === 'symlink') throw failed(dest, 'it is a symbolic link');
    if (kind === 'directory') throw failed(dest, 'it is a directory');
    if (kind === 'stream') await writeDirectly(dest, bytes);
    else {
      makeDirectory(dirname(dest));
      await replaceFile(dest, bytes);
    }
  });
}

/** A fresh name beside `dest`, on the same file system. */
export function besideName(dest: string): string {
  return join(dirname(dest), `.${basename(dest)}.tsbuild-${randomUUID()}`);
}

/** Whether a file name is one that `besideName` gives. */
export function isBesideName(name: string): boolean {
  return /^\..*\.tsbuild-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name);
}

/** What is at `path`; links are not followed. */
export async function kindOf(path: string): Promise<'nothing' | 'file' | 'directory' | 'symlink' | 'stream'> {
  try {
    const info = await lstat(path);
    if (info.isSymbolicLink()) return 'symlink';
    if (info.isDirectory()) return 'directory';
    return info.isFile() ? 'file' : 'stream';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'nothing';
    throw error;
  }
}

/** Runs `work`; what the file system refuses below `dest` becomes OUTPUT_FAILED. */
export async function outputErrors<T>(dest: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isBuildError(error) || !(error instanceof Error) || !('syscall' in error)) throw error;
    throw failed(dest, messageOf(error), error);
  }
}

/** The error for an output that cannot be written. */
export function failed(path: string, reason: string, cause?: unknown): BuildError {
  return new BuildError('OUTPUT_FAILED', { path, reason }, { cause });
}

/** Writes a new file. It is not synced: like a copied file, an output can be made again. */
export async function writeNewFile(path: string, bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', 0o666);
  await writeAll(file, bytes);
}

/** Writes a file beside `dest` and puts it in the place of what is there, at once. */
export async function replaceFile(dest: string, bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  const beside = besideName(dest);
  try {
    await writeNewFile(beside, bytes);
    await rename(beside, dest);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function writeDirectly(dest: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await open(dest, 'r+');
  await writeAll(file, bytes);
}

async function writeAll(file: FileHandle, bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  if (bytes instanceof Uint8Array) return file.writeFile(bytes);
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of bytes) {
      await writing;
      writing = file.writeFile(chunk);
      // Reported by the next await of it; until then it must not count as unhandled.
      writing.catch(() => undefined);
    }
    await writing;
  } finally {
    await writing.catch(() => undefined);
  }
}

async function writeToStream(stream: NodeJS.WritableStream, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const { promise: broken, reject } = Promise.withResolvers<never>();
  broken.catch(() => undefined);
  const onError = (error: Error): void => reject(failed('-', error.message, error));
  stream.on('error', onError);
  try {
    for await (const chunk of bytes) {
      const { promise: written, resolve: taken } = Promise.withResolvers<void>();
      stream.write(chunk, (error) => (error instanceof Error ? onError(error) : taken()));
      await Promise.race([written, broken]);
    }
  } finally {
    stream.off('error', onError);
  }
}
