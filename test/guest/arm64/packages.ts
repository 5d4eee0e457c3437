import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { checkProgram } from '../../support/run-program.ts';

/** What a 64-bit Arm machine starts from. */
export interface ArmPackages {
  readonly kernel: string;
  /** A module of that kernel. */
  readonly overlay: string;
  /** Static. */
  readonly busybox: string;
}

/**
 * Debian's kernel and busybox for arm64, from the mirrors of this machine. They are unpacked, not installed, and kept in
 * `$XDG_CACHE_HOME/tsbuild-test` (`~/.cache`) for a month; callers must not change them.
 */
export async function armPackages(): Promise<ArmPackages> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tsbuild-test');
  const directory = join(cache, `arm64-${new Date().toISOString().slice(0, 7)}`);
  await mkdir(cache, { recursive: true });
  if (!(await exists(directory))) await download(directory);
  const modules = join(directory, 'lib/modules');
  const [version = ''] = await readdir(modules);
  return {
    kernel: join(directory, 'boot', `vmlinuz-${version}`),
    overlay: join(modules, version, 'kernel/fs/overlayfs/overlay.ko'),
    busybox: join(directory, 'bin/busybox'),
  };
}

async function exists(path: string): Promise<boolean> {
  return (await readdir(join(path, '..'))).some((name) => path.endsWith(`/${name}`));
}

/** By an apt whose state is its own: this machine's knows nothing of another architecture. */
async function download(directory: string): Promise<void> {
  const work = await mkdtemp(`${directory}-`);
  try {
    const apt = await privateApt(work);
    await apt('apt-get', 'update', '--quiet');
    const depends = await apt('apt-cache', 'depends', 'linux-image-cloud-arm64');
    const kernel = /Depends: (linux-image-\d\S*)/.exec(depends)?.[1];
    if (kernel === undefined) throw new Error(`apt knows no kernel for arm64: ${depends}`);
    await apt('apt-get', 'download', '--quiet', kernel, 'busybox-static');
    for (const archive of (await readdir(work)).filter((file) => file.endsWith('.deb')))
      await checkProgram('dpkg-deb', ['--extract', archive, 'tree'], { cwd: work });
    await rename(join(work, 'tree'), directory);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function privateApt(work: string): Promise<(program: string, ...args: string[]) => Promise<string>> {
  const root = join(work, 'apt');
  const folders = ['etc', 'lists/partial', 'archives/partial'];
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'status'), '');
  const settings = [
    `Dir::State::lists "${join(root, 'lists')}";`,
    `Dir::State::status "${join(root, 'status')}";`,
    `Dir::Cache "${root}";`,
    'APT::Architecture "arm64";',
    'APT::Architectures { "arm64"; };',
    'APT::Sandbox::User "root";',
  ];
  const config = join(root, 'apt.conf');
  await writeFile(config, settings.join('\n'));
  return (program, ...args) => checkProgram('env', [`APT_CONFIG=${config}`, program, ...args], { cwd: work });
}
