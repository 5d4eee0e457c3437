import { open } from 'node:fs/promises';

/**
 * All bytes of the file that the user named, through links and from pipes as well (`<(pass show token)`); `undefined` where it has more
 * than `limit`.
 */
export async function readSecretFile(path: string, limit: number): Promise<Buffer | undefined> {
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(limit + 1);
  let size = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, size, buffer.byteLength - size, null);
    if (bytesRead === 0) return Buffer.from(buffer.subarray(0, size));
    size += bytesRead;
    if (size > limit) return undefined;
  }
}
