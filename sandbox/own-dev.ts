import { posix } from 'node:path';
import type { RuntimeMount } from '../src/core/executor.ts';

/** A step's /dev, and its mounts besides. */
export interface OwnDev {
  /** Of the tmpfs that holds its devices. */
  readonly options: readonly string[];
  readonly mounts: readonly RuntimeMount[];
}

/**
 * A tmpfs that a step wants at /dev is the one that it has there anyway, with the size that it asks for: as runc does, we put its devices in.
 * Mounted over that one it would hide them.
 */
export function ownDev(mounts: readonly RuntimeMount[]): OwnDev {
  const wanted = mounts.findLast((mount) => mount.type === 'tmpfs' && isDev(mount));
  if (wanted?.type !== 'tmpfs') return { options: ['mode=0755', 'size=65536k'], mounts };
  const size = wanted.sizeBytes === undefined ? [] : [`size=${wanted.sizeBytes}`];
  return {
    options: [`mode=${wanted.mode.toString(8).padStart(4, '0')}`, ...size],
    mounts: mounts.filter((mount) => !(mount.type === 'tmpfs' && isDev(mount))),
  };
}

/** Whether it takes the place of a step's /dev. */
export function isDev({ destination }: RuntimeMount): boolean {
  return posix.resolve('/', destination) === '/dev';
}
