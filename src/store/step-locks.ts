import { closeSync, openSync, statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from '../core/error.ts';
import { LockWait } from '../core/lock-wait.ts';
import type { StepLocks } from '../core/step-locks.ts';
import { digestHex } from '../oci/digest.ts';
import { nameHolder, tryLock } from './lock-file.ts';
import { makeDirectory } from './make-directory.ts';
import type { StateDir } from './state-dir.ts';
import { storeFailure } from './store-failure.ts';

const LONGEST_PAUSE_MS = 20;

/** Locks as files below `locks/steps`, named by key; they are there as long as somebody holds them. */
export function openStepLocks({ root }: Pick<StateDir, 'root'>): StepLocks {
  const directory = directoryIn(root);
  let made = false;
  return {
    hold: async (key, { signal, waiting }) => {
      if (!made) makeDirectory(directory, { mode: 0o700 });
      made = true;
      const path = join(directory, digestHex(key));
      using wait = new LockWait({ listener: waiting, nameHolder: () => nameHolder(path) });
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
        signal.throwIfAborted();
        const lock = await takeFile(path);
        if (lock !== undefined) return lock;
        wait.stillWaiting();
        // Aborting ends the pause; the reason is thrown above.
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}

/** Removes the lock files that dead processes left. */
export async function sweepStepLocks({ root }: Pick<StateDir, 'root'>): Promise<void> {
  const directory = directoryIn(root);
  for (const name of await namesIn(directory)) await (await takeFile(join(directory, name)))?.[Symbol.asyncDispose]();
}

/**
 * The lock, unless somebody has it. Only a holder removes the file, so whoever still finds the same file at the path after locking it
 * holds what all others ask for.
 */
async function takeFile(path: string): Promise<AsyncDisposable | undefined> {
  createFile(path);
  const before = identityOf(path);
  const lock = await tryLock(path, 'exclusive');
  if (lock === undefined) return undefined;
  const after = identityOf(path);
  if (after === undefined || before !== after) {
    await lock[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(path, { force: true });
      await lock[Symbol.asyncDispose]();
    },
  };
}

/** One that is there is not opened: closing it would drop a lock that this process may hold on it (fcntl). */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw storeFailure(error, path);
  }
}

/** Inode numbers are used again, times of birth are not. */
function identityOf(path: string): string | undefined {
  const info = statSync(path, { bigint: true, throwIfNoEntry: false });
  return info === undefined ? undefined : `${info.ino} ${info.birthtimeNs}`;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function directoryIn(root: string): string {
  return join(root, 'locks/steps');
}
