import { mkdir, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isErrno } from '../core/error.ts';
import type { StoreOptions } from '../build-request.ts';
import type { MachineReport } from '../store-handle.ts';
import { reportMachine } from '../../sandbox/machine-report.ts';

/** What this machine offers to builds on that store; the store is not opened, and none is made. */
export async function doctor({
  store,
  snapshotter,
  runtime,
  syncSteps,
  networkDriver,
}: StoreOptions): Promise<MachineReport> {
  const report = await reportMachine({
    directory: await probeDirectory(store),
    ...(snapshotter === undefined ? {} : { snapshotter }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(syncSteps === undefined ? {} : { syncSteps }),
    ...(networkDriver === undefined ? {} : { networkDriver }),
  });
  return { store, ...report };
}

/** The place where the store is or would be, since overlayfs depends on its file system; elsewhere only where that cannot be written. */
async function probeDirectory(store: string): Promise<string> {
  for (let directory = store; ; directory = dirname(directory)) {
    try {
      const trial = join(directory, `.tsbuild-doctor-${process.pid}`);
      await mkdir(trial);
      await rmdir(trial);
      return directory;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR') && directory !== dirname(directory)) continue;
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS', 'ENOSPC')) return tmpdir();
      throw error;
    }
  }
}
