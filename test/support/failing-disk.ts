import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { checkProgram } from './run-program.ts';

/** A file system on a disk of its own, which can be made to fail. */
export interface FailingDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  /** From now on the kernel answers EIO to whatever is done there, and what is not yet in the journal is lost. */
  fail(): void;
  /** Mounts it anew, as a machine does that was switched off: the journal is replayed. */
  repair(): Promise<void>;
}

/** `_IOR('X', 125, __u32)` of linux/fs.h, with EXT4_GOING_FLAGS_NOLOGFLUSH. */
const FS_IOC_SHUTDOWN = 0x8004587d;
const NO_LOG_FLUSH = 2;
const DISK_BYTES = 384 * 1024 ** 2;

/** ext4 on a loop device; that is shut down as ext4 itself does it when its disk is gone. */
export async function openFailingDisk(directory: string): Promise<FailingDisk> {
  const [image, path] = [join(directory, 'image'), join(directory, 'disk')];
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
  await checkProgram('mke2fs', ['-q', '-t', 'ext4', image]);
  const mount = async (disk: string): Promise<void> => void (await checkProgram('mount', ['-o', 'loop', disk, path]));
  const unmount = async (): Promise<void> => void (await checkProgram('umount', [path]));
  await mount(image);
  return {
    path,
    fail: () => shutDown(path),
    repair: async () => {
      await unmount();
      // Another mount namespace may still hold the failed file system, and with it the device.
      const other = join(directory, 'image-after');
      await checkProgram('cp', ['--sparse=always', image, other]);
      await mount(other);
    },
    [Symbol.asyncDispose]: unmount,
  };
}

function shutDown(path: string): void {
  const ioctl = koffi.load(null).func('int ioctl(int, unsigned long, uint32_t *)');
  const directory = openSync(path, 'r');
  const status: unknown = ioctl(directory, FS_IOC_SHUTDOWN, [NO_LOG_FLUSH]);
  closeSync(directory);
  if (status !== 0) throw new Error(`ext4 at ${path} does not shut down`);
}
