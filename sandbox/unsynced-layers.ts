import { closeSync, openSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../src/core/error.ts';
import type { LayerId } from '../src/core/snapshot.ts';
import { makeDirectory } from './make-directory.ts';
import { namesIn } from './names-in.ts';
import { check, syscalls } from './syscalls.ts';

/** Older layers are on the disk already, as a rule: the kernel writes back within 30 s. */
const SETTLED_MS = 60_000;

/**
 * Remembers which layers a power failure might have torn: those committed since this boot and never synced. Committing costs no fsync
 * that way. A killed process loses nothing (the page cache survives it); after a power failure the boot id differs, and what was not
 * synced before counts as lost: it is built again. `unsynced/<boot id>/<layer>` is the mark.
 */
export class UnsyncedLayers {
  readonly #directory: string;
  readonly #boot: string | undefined;
  #prepared = false;
  #checked: Promise<void> | undefined;

  constructor(stateDir: string) {
    this.#directory = join(stateDir, 'unsynced');
    this.#boot = bootId();
  }

  /** Marks `layer`, which is about to be committed. Where the system does not tell one boot from another, syncs instead. */
  add(layer: LayerId): void {
    if (this.#boot === undefined) {
      syncFileSystem(this.#directory);
      return;
    }
    if (!this.#prepared) makeDirectory(join(this.#directory, this.#boot), { mode: 0o700 });
    this.#prepared = true;
    writeFileSync(this.#markOf(layer), '');
  }

  /** Removes the mark of a layer that is gone. */
  forget(layer: LayerId): void {
    if (this.#boot !== undefined) rmSync(this.#markOf(layer), { force: true });
  }

  /** Once per process: removes the layers that a power failure may have torn. */
  dropLost(remove: (layer: LayerId) => Promise<void>): Promise<void> {
    this.#checked ??= this.#dropLost(remove);
    return this.#checked;
  }

  /** Makes older layers durable and forgets them. Cheap: they have been written back long ago. */
  async syncSettled(nowMs: number): Promise<void> {
    if (this.#boot === undefined) return;
    const directory = join(this.#directory, this.#boot);
    const settled = namesIn(directory).filter((name) => nowMs - statSync(join(directory, name)).mtimeMs > SETTLED_MS);
    if (settled.length === 0) return;
    await syncFileSystemAside(this.#directory);
    for (const name of settled) rmSync(join(directory, name), { force: true });
  }

  async #dropLost(remove: (layer: LayerId) => Promise<void>): Promise<void> {
    for (const boot of namesIn(this.#directory)) {
      if (boot === this.#boot) continue;
      const directory = join(this.#directory, boot);
      for (const layer of namesIn(directory)) {
        await remove(layer as LayerId);
        unlinkSync(join(directory, layer));
      }
      rmSync(directory, { recursive: true, force: true });
    }
  }

  #markOf(layer: LayerId): string {
    return join(this.#directory, this.#boot ?? '', layer);
  }
}

function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return undefined;
    throw error;
  }
}

function syncFileSystem(directory: string): void {
  makeDirectory(directory, { mode: 0o700 });
  const fd = openSync(directory, 'r');
  try {
    check(syscalls().syncfs(fd), 'syncfs', directory);
  } finally {
    closeSync(fd);
  }
}

async function syncFileSystemAside(directory: string): Promise<void> {
  const fd = openSync(directory, 'r');
  try {
    check(await syscalls().syncfsAside(fd), 'syncfs', directory);
  } finally {
    closeSync(fd);
  }
}
