import { readFileSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { holderIn, type LockOptions, LockWait } from '../core/lock-wait.ts';
import { storeFailure, sqliteCode } from './store-failure.ts';

/** `shared` holders exclude only the `exclusive` one. */
export type LockMode = 'shared' | 'exclusive';

const SQLITE_BUSY = 5;
const LONGEST_PAUSE_MS = 20;

/**
 * Takes the lock `path`, waiting for it; disposing gives it back. It dies with its owner, even with kill -9, because it is one of the
 * kernel's file locks: those that sqlite takes on an (always empty) database are the only ones that Node itself can ask for.
 * A pid file would outlive its owner and mean nothing in another pid namespace; an O_EXCL file would outlive it as well.
 * Nothing else may open the file: closing any descriptor of it would drop the lock (fcntl).
 */
export async function takeLock(path: string, mode: LockMode, o: LockOptions = {}): Promise<AsyncDisposable> {
  using wait = new LockWait({ listener: o.waiting, nameHolder: () => nameHolder(path) });
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    o.signal?.throwIfAborted();
    const lock = await tryLock(path, mode);
    if (lock !== undefined) return lock;
    wait.stillWaiting();
    // Aborting ends the pause; the reason is thrown above.
    await delay(pauseMs, undefined, { signal: o.signal }).catch(() => undefined);
  }
}

/** Who holds the lock `path`, in words. */
export function nameHolder(path: string): string {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return 'another process';
  return holderIn(readFileSync('/proc/locks', 'utf8'), { device: file.dev, inode: file.ino }, process.pid);
}

/** The lock `path` if it can be had at once, `undefined` where another one holds it. */
export async function tryLock(path: string, mode: LockMode): Promise<AsyncDisposable | undefined> {
  const { DatabaseSync } = await import('node:sqlite');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    // In memory: a lock file never gets a journal beside it, so a dead owner leaves nothing to roll back.
    database.exec('pragma journal_mode=memory');
    database.exec(mode === 'exclusive' ? 'begin exclusive' : 'begin');
    if (mode === 'shared') database.prepare('select count(*) from sqlite_schema').get();
  } catch (error) {
    database?.close();
    if (sqliteCode(error) === SQLITE_BUSY) return undefined;
    throw storeFailure(error, path);
  }
  const held = database;
  return {
    // Closing ends the transaction, and with it the lock.
    [Symbol.asyncDispose]: async () => {
      if (held.isOpen) held.close();
    },
  };
}
