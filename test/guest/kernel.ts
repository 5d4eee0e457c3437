import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { checkProgram } from '../support/run-program.ts';

/** A Linux kernel that is not this machine's. */
export interface GuestKernel {
  readonly version: string;
  /** What a boot loader takes. */
  readonly image: string;
  /** Holds `VERSION/`, with an index of dependencies, as /lib/modules does. */
  readonly modules: string;
}

/**
 * The newest kernel for x86-64 that this machine's Debian mirror has; not the one for clouds, which has no 9p. It is unpacked, not installed,
 * and kept in `$XDG_CACHE_HOME/tsbuild-test` (`~/.cache`); callers must not change it.
 */
export async function guestKernel(): Promise<GuestKernel> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tsbuild-test');
  const name = await packageName();
  const directory = join(cache, name);
  await mkdir(cache, { recursive: true });
  if (!(await readdir(cache)).includes(name)) await unpack(name, directory);
  const modules = join(directory, 'lib/modules');
  const version = (await readdir(modules))[0] ?? '';
  return { version, modules, image: join(directory, 'boot', `vmlinuz-${version}`) };
}

/** The package that `linux-image-ARCHITECTURE` stands for at present. */
async function packageName(): Promise<string> {
  const text = await checkProgram('apt-cache', ['depends', 'linux-image-amd64']);
  const name = /Depends: (linux-image-\d\S*)/.exec(text)?.[1];
  if (name === undefined) throw new Error(`apt of this machine knows no kernel: ${text}`);
  return name;
}

async function unpack(name: string, directory: string): Promise<void> {
  const work = await mkdtemp(`${directory}-`);
  try {
    await checkProgram('apt-get', ['download', '--quiet', name], { cwd: work });
    const archive = (await readdir(work)).find((file) => file.endsWith('.deb')) ?? '';
    await checkProgram('dpkg-deb', ['--extract', archive, 'tree'], { cwd: work });
    const [version = ''] = await readdir(join(work, 'tree/lib/modules'));
    await checkProgram('busybox', ['depmod', '-b', join(work, 'tree'), version]);
    await rename(join(work, 'tree'), directory);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
