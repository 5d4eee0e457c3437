import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from './lock-file.ts';

/** This process as a user of the store, alive while its lock is held. */
export interface Owner extends AsyncDisposable {
  /** A directory of its own. */
  readonly tmp: string;
  readonly openedMs: number;
  /** When the oldest living owner, at the latest this one, became one. */
  oldestMs(): Promise<number>;
}

interface OwnerPlaces {
  /** One lock file per owner, named by the time it became one. */
  readonly owners: string;
  readonly tmp: string;
}

/** Enrols this process, and sweeps what dead owners left. */
export async function openOwner(places: OwnerPlaces): Promise<Owner> {
  const openedMs = Date.now();
  const { name, lock } = await enrol(places.owners, openedMs);
  const tmp = join(places.tmp, name);
  mkdirSync(tmp, { mode: 0o700 });
  const living = (): Promise<readonly string[]> => sweep(places, name);
  await living();
  return {
    tmp,
    openedMs,
    oldestMs: async () => Math.min(openedMs, ...(await living()).map(openedMsOf)),
    [Symbol.asyncDispose]: async () => {
      await retire(places, name);
      await lock[Symbol.asyncDispose]();
    },
  };
}

async function enrol(
  owners: string,
  openedMs: number,
): Promise<{ readonly name: string; readonly lock: AsyncDisposable }> {
  for (;;) {
    const name = `${openedMs}-${randomUUID()}`;
    const lock = await tryLock(join(owners, name), 'exclusive');
    // A sweep that saw the file before it was locked holds it, or has removed it: then the lock is worth nothing.
    if (lock !== undefined && existsSync(join(owners, name))) return { name, lock };
    await lock?.[Symbol.asyncDispose]();
  }
}

/** Removes dead owners and their files; gives the names of the living ones besides `self`. */
async function sweep(places: OwnerPlaces, self: string): Promise<readonly string[]> {
  const living: string[] = [];
  for (const name of readdirSync(places.owners)) {
    if (name === self) continue;
    const lock = await tryLock(join(places.owners, name), 'exclusive');
    if (lock === undefined) living.push(name);
    else {
      await retire(places, name);
      await lock[Symbol.asyncDispose]();
    }
  }
  return living;
}

/** The lock file goes last: as long as it is there someone will finish this. */
async function retire(places: OwnerPlaces, name: string): Promise<void> {
  await rm(join(places.tmp, name), { recursive: true, force: true });
  await rm(join(places.owners, name), { force: true });
}

function openedMsOf(name: string): number {
  const openedMs = Number.parseInt(name, 10);
  // An unreadable name counts as the oldest: too much stays rather than too little.
  return Number.isNaN(openedMs) ? 0 : openedMs;
}
