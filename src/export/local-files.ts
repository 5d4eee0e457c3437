import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { FileBackend } from '../core/file-backend.ts';
import type { LayerStack } from '../core/snapshot.ts';
import { makeDirectory } from './make-directory.ts';
import { besideName, failed, kindOf, outputErrors, type OutputPlace, writeOutput } from './output-file.ts';

/** One platform's tree. `directory` is where it goes below the destination, such as `linux_amd64`, where there are several. */
export interface LocalTreeOutput {
  readonly stack: LayerStack;
  readonly directory?: string;
}

/** Trees to be written as files of the host. */
export interface LocalFilesRequest {
  readonly dest: string;
  readonly trees: readonly LocalTreeOutput[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes trees below the directory `dest`. One that is not there yet appears when it is whole; in one that is, files are replaced
 * and others stay.
 * @throws OUTPUT_FAILED, also for a symbolic link at `dest`
 */
export async function exportLocalFiles(files: FileBackend, request: LocalFilesRequest): Promise<void> {
  if (request.dest === '-') throw failed('-', 'a directory cannot be written to standard output');
  const dest = resolve(request.dest);
  return outputErrors(dest, async () => {
    const kind = await kindOf(dest);
    if (kind === 'symlink') throw failed(dest, 'it is a symbolic link');
    if (kind !== 'nothing' && kind !== 'directory') throw failed(dest, 'it is no directory');
    if (kind === 'directory') return writeTrees(files, { ...request, dest });
    makeDirectory(dirname(dest));
    const beside = besideName(dest);
    try {
      await mkdir(beside);
      await writeTrees(files, { ...request, dest: beside });
      await rename(beside, dest);
    } catch (error) {
      await rm(beside, { recursive: true, force: true });
      throw error;
    }
  });
}

/** Writes one tree as a tar archive. @throws OUTPUT_FAILED */
export async function exportTarFile(
  files: FileBackend,
  request: OutputPlace & {
    readonly stack: LayerStack;
    readonly epochSeconds?: number | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { stack, epochSeconds, signal } = request;
  return writeOutput(request, files.exportTar(stack, { epochSeconds, signal }));
}

async function writeTrees(files: FileBackend, { dest, trees, signal }: LocalFilesRequest): Promise<void> {
  for (const { stack, directory } of trees) {
    const place = directory === undefined ? dest : join(dest, directory);
    const kind = await kindOf(place);
    if (kind === 'symlink') throw failed(place, 'it is a symbolic link');
    await files.exportTo(stack, place, { signal });
  }
}
