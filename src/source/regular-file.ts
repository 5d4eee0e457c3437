import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { BuildError } from '../core/error.ts';

/**
 * Opens a regular file for reading. A link in the last component, a FIFO or a device is refused, and cannot make it wait.
 * @throws PATH_INVALID; what the system says, ENOENT for one
 */
export async function openRegularFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new BuildError('PATH_INVALID', { path, reason: 'is not a regular file' });
}

/** All bytes of a regular file; `undefined` where it has more than `limit`. Otherwise as `openRegularFile`. */
export async function readRegularFile(path: string, limit: number): Promise<Buffer | undefined> {
  await using file = await openRegularFile(path);
  const chunks: Buffer[] = [];
  for (let size = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(64 * 1024));
    if (bytesRead === 0) return Buffer.concat(chunks, size);
    size += bytesRead;
    if (size > limit) return undefined;
    chunks.push(buffer.subarray(0, bytesRead));
  }
}
