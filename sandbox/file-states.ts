import { createHash } from 'node:crypto';
import type { ByteString } from './byte-string.ts';
import type { FileStat } from './file-stat.ts';
import { packState, STATE_WORDS } from './stat-cache.ts';

const BATCH = 1024;

/**
 * A fingerprint of the states (inode, times, size, mode) of the files that a walk has read, in its order. Two walks with the same
 * fingerprint have read the same data; a digest and the later copy are compared this way.
 */
export class FileStates {
  readonly #hash = createHash('sha256');
  readonly #words = new Uint32Array(BATCH * STATE_WORDS);
  #count = 0;
  #latest: { readonly path: ByteString; readonly ctime: FileStat['ctime'] } | undefined;

  /** Adds a regular file. */
  add(stat: FileStat, path: ByteString): void {
    packState(stat, this.#words, this.#count * STATE_WORDS);
    this.#count++;
    if (this.#count === BATCH) this.#flush();
    const latest = this.#latest?.ctime;
    const { ctime } = stat;
    if (
      latest === undefined ||
      ctime.seconds > latest.seconds ||
      (ctime.seconds === latest.seconds && ctime.nanoseconds > latest.nanoseconds)
    ) {
      this.#latest = { path, ctime };
    }
  }

  /** The file that changed last: where two fingerprints differ, most likely the one that did it. */
  get latestChange(): ByteString | undefined {
    return this.#latest?.path;
  }

  /** The fingerprint; nothing can be added afterwards. */
  digest(): string {
    this.#flush();
    return this.#hash.digest('base64');
  }

  #flush(): void {
    this.#hash.update(new Uint8Array(this.#words.buffer, 0, this.#count * STATE_WORDS * 4));
    this.#count = 0;
  }
}
