import { mkdirSync, rmSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../src/core/error.ts';
import { type FileLock, tryLock } from './file-lock.ts';
import { makeDirectory } from './make-directory.ts';
import { namesIn } from './names-in.ts';

/**
 * What this process is making: a directory below `active/`, locked as long as the process lives, so that a later one can sweep up after one
 * that was killed. Nothing is touched before the first use; disposing removes it.
 */
export class OwnDirectory implements AsyncDisposable {
  readonly #active: string;
  readonly #onClaim: () => void;
  #claimed: { readonly path: string; readonly lock: FileLock } | undefined;
  #count = 0;
  #swept = false;

  /** @param onClaim is called once, when the directory is there. */
  constructor(active: string, onClaim: () => void) {
    this.#active = active;
    this.#onClaim = onClaim;
  }

  /** Removes what dead processes left, at the first call: also a build that finds everything in the cache cleans up. */
  sweepOnce(): void {
    if (this.#swept) return;
    this.#swept = true;
    sweep(this.#active);
  }

  /** A path that is not taken. @param suffix says what for */
  newPath(suffix = ''): string {
    this.#count++;
    return join(this.#claim(), this.#count.toString(36) + suffix);
  }

  /** The directory `name` in it, the same at each call. */
  shared(name: string): string {
    const path = join(this.#claim(), name);
    makeDirectory(path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const claimed = this.#claimed;
    this.#claimed = undefined;
    if (claimed === undefined) return;
    await rm(claimed.path, { recursive: true, force: true });
    claimed.lock[Symbol.dispose]();
  }

  #claim(): string {
    if (this.#claimed !== undefined) return this.#claimed.path;
    makeDirectory(this.#active, { mode: 0o700 });
    this.sweepOnce();
    for (;;) {
      const path = join(this.#active, randomId(6));
      mkdirSync(path, { mode: 0o700 });
      const lock = lockOrUndefined(path, 'exclusive');
      if (lock === undefined) continue;
      this.#claimed = { path, lock };
      this.#onClaim();
      return path;
    }
  }
}

/** Letters and digits, the first a letter, unlikely ever to repeat. */
export function randomId(length: number): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length }, (_, i) => letters[randomInt(i === 0 ? 26 : 36)]).join('');
}

/** The lock of a directory, unless another process has it or the directory is not there. */
export function lockOrUndefined(path: string, mode: 'shared' | 'exclusive' = 'shared'): FileLock | undefined {
  try {
    return tryLock(path, mode);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Removes what processes left below `active/` that no longer run. Their mounts died with their namespaces. */
function sweep(active: string): void {
  for (const name of namesIn(active)) {
    const path = join(active, name);
    using lock = lockOrUndefined(path, 'exclusive');
    if (lock !== undefined) rmSync(path, { recursive: true, force: true });
  }
}
