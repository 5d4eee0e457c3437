import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import type { LayerTar } from '../src/core/layer-codec.ts';
import { Digester } from '../src/oci/digest.ts';

/** So much is written before the disk is told to begin; else it would idle until the end and then be waited for. */
const SYNC_BYTES = 64 << 20;

/** A tar written to a new file, and hashed on the way. */
export class TarFile implements AsyncDisposable {
  readonly #fd: number;
  readonly #digester = new Digester();
  #unsynced = 0;
  #syncing: Promise<void> | undefined;

  /** @throws EEXIST */
  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600);
  }

  /** Adds all of `chunk`, which may be used again afterwards. */
  write(chunk: Uint8Array): void {
    this.#digester.update(chunk);
    for (let at = 0; at < chunk.length;) at += writeSync(this.#fd, chunk, at);
    this.#unsynced += chunk.length;
    if (this.#unsynced >= SYNC_BYTES) this.#sync();
  }

  /** What was written. */
  async finish(): Promise<LayerTar> {
    await this.#syncing;
    return { size: this.#digester.size, diffId: this.#digester.digest() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#syncing;
    closeSync(this.#fd);
  }

  /** The kernel does it on a thread of its own while this one goes on; failures show to whoever syncs the file for good. */
  #sync(): void {
    this.#unsynced = 0;
    const earlier = this.#syncing;
    const now = new Promise<void>((resolve) => {
      fdatasync(this.#fd, () => resolve());
    });
    this.#syncing = earlier === undefined ? now : Promise.all([earlier, now]).then(() => undefined);
  }
}
