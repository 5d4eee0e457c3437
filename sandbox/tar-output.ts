import { readSync } from 'node:fs';
import type { TarEntry } from '../src/oci/tar-header.ts';
import { encodeTarEntry, TAR_END, tarPadding } from '../src/oci/tar-writer.ts';
import { BuildError, messageOf } from '../src/core/error.ts';

const BUFFER_SIZE = 1 << 20;

/**
 * A tar being written into buffers of fixed size. Headers and contents are put into it; `drain` gives the full buffers, each to be used
 * before the next is asked for. File contents are read straight into the buffers.
 */
export class TarOutput {
  readonly #latestSeconds: number | undefined;
  readonly #full: Buffer<ArrayBuffer>[] = [];
  readonly #spare: Buffer<ArrayBuffer>[] = [];
  #current = Buffer.allocUnsafe(BUFFER_SIZE);
  #filled = 0;

  /** @param epochSeconds later mtimes become this one. */
  constructor(epochSeconds: number | undefined) {
    this.#latestSeconds = epochSeconds;
  }

  /** Adds an entry's header. @throws LAYER_INVALID for what no tar can hold. */
  header(entry: TarEntry): void {
    const { mtime } = entry;
    const seconds = Math.min(mtime.seconds, this.#latestSeconds ?? mtime.seconds);
    try {
      this.#append(encodeTarEntry({ ...entry, mtime: { seconds, nanoseconds: 0 } }));
    } catch (error) {
      throw new BuildError(
        'LAYER_INVALID',
        { what: entry.path.toString(), reason: messageOf(error) },
        { cause: error },
      );
    }
  }

  /**
   * Adds all `size` bytes of the open file as an entry's content.
   * @param ended called where the file has less; throws where that is no surprise.
   */
  *content(fd: number, size: number, ended?: () => void): Generator<Buffer, void> {
    let rest = size;
    while (rest > 0) {
      const room = Math.min(rest, BUFFER_SIZE - this.#filled);
      const read = readSync(fd, this.#current, this.#filled, room, null);
      if (read === 0) {
        ended?.();
        throw new Error(`bug in tsbuild: a file of a layer became shorter while it was read`);
      }
      this.#advance(read);
      rest -= read;
      if (this.#full.length > 0) yield* this.drain();
    }
    this.#append(tarPadding(size));
  }

  /** Adds `data` as an entry's content. */
  bytes(data: Uint8Array): void {
    this.#append(data);
    this.#append(tarPadding(data.length));
  }

  /** Ends the archive. */
  end(): void {
    this.#append(TAR_END);
    if (this.#filled > 0) this.#full.push(this.#current.subarray(0, this.#filled));
    this.#filled = 0;
  }

  /** Whether `drain` has something. */
  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The full buffers. */
  *drain(): Generator<Buffer, void> {
    for (let buffer = this.#full.shift(); buffer !== undefined; buffer = this.#full.shift()) {
      yield buffer;
      if (buffer.length === BUFFER_SIZE) this.#spare.push(buffer);
    }
  }

  #append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + BUFFER_SIZE - this.#filled);
      this.#current.set(part, this.#filled);
      this.#advance(part.length);
      at += part.length;
    }
  }

  #advance(size: number): void {
    this.#filled += size;
    if (this.#filled < BUFFER_SIZE) return;
    this.#full.push(this.#current);
    this.#current = this.#spare.pop() ?? Buffer.allocUnsafe(BUFFER_SIZE);
    this.#filled = 0;
  }
}
