import { copyFile, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkProgram } from './run-program.ts';

/** Makes a root directory of this machine's busybox and of its programs at these paths, with the libraries that they load. */
export async function writeProgramRoot(root: string, programs: readonly string[]): Promise<void> {
  const loaded = programs.length === 0 ? '' : await checkProgram('ldd', programs);
  const libraries = [...loaded.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path = '']) => path);
  for (const path of new Set(['/usr/bin/busybox', ...programs, ...libraries])) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await copyFile(await realpath(path), join(root, path));
  }
  for (const folder of ['bin', 'etc', 'root', 'tmp']) await mkdir(join(root, folder), { recursive: true });
  for (const applet of (await checkProgram('/usr/bin/busybox', ['--list'])).trim().split('\n')) {
    await symlink('/usr/bin/busybox', join(root, 'bin', applet));
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
}
