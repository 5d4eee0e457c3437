import { randomUUID } from 'node:crypto';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onOpenFile } from './store-failure.ts';

/** Makes what is written in the file `path` survive a power cut. */
export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await onOpenFile(path, () => file.datasync());
}

/** Makes the names in the directory `path` survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await onOpenFile(path, () => directory.sync());
}

/**
 * Gives `syncDirectory` for one directory that many publish to: calls that come while one runs share the next one,
 * so twenty blobs at once cost two journal commits instead of twenty.
 */
export function sharedDirectorySync(path: string): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    running = syncDirectory(path).finally(() => {
      running = undefined;
    });
    return running;
  };
  return async () => {
    if (running === undefined) return start();
    next ??= running.then(start, start);
    return next;
  };
}

/** What replaces a file. */
export interface Replacement {
  readonly bytes: string | Uint8Array;
  /** Where it is written first: a directory of this process on the same file system, which is swept if the process dies. */
  readonly draftIn: string;
  /** Runs when the new content is on disk and not yet to be seen. */
  readonly beforePublish: () => void;
}

/** Replaces the file `path` at once and durably: whoever reads it sees the old content or the new one. */
export async function replaceFile(path: string, { bytes, draftIn, beforePublish }: Replacement): Promise<void> {
  const draft = join(draftIn, randomUUID());
  try {
    await writeFile(draft, bytes, { flag: 'wx', mode: 0o644, flush: true });
    beforePublish();
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}
