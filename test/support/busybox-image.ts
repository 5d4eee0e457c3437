import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDockerRegistry } from './docker-registry.ts';
import { writeOciLayout } from './oci-image.ts';
import { checkProgram } from './run-program.ts';

/** A registry on loopback that has `library/busybox`, and the flags that make tsbuild ask it instead of docker.io. */
export interface BusyboxRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly flags: readonly string[];
}

/** The users of the image besides root. */
const PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1001:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/home:/bin/false
`;
const GROUP = `root:x:0:
daemon:x:1:
www:x:33:app
app:x:1001:
nobody:x:65534:
`;

/** Starts Debian's docker-registry and pushes an image into it that is made of this machine's static busybox. */
export async function openBusyboxRegistry(): Promise<BusyboxRegistry> {
  await using cleanup = new AsyncDisposableStack();
  const registry = cleanup.use(await openDockerRegistry());
  const folder = await mkdtemp(join(tmpdir(), 'tsbuild-busybox-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  await writeBusyboxLayout(folder, 'docker.io/library/busybox:latest');
  await checkProgram('skopeo', [
    'copy',
    '--quiet',
    '--dest-tls-verify=false',
    `oci:${folder}:latest`,
    `docker://${registry.host}/library/busybox:latest`,
  ]);
  const kept = cleanup.move();
  return {
    host: registry.host,
    flags: ['--registry-mirror', `docker.io=${registry.host}`],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Writes the busybox image as an OCI layout. */
export async function writeBusyboxLayout(folder: string, name: string): Promise<void> {
  const root = join(folder, 'rootfs');
  await writeBusyboxRoot(root);
  const layerTar = join(folder, 'layer.tar');
  await checkProgram('tar', [
    '--create',
    '--sort=name',
    '--numeric-owner',
    '--owner=0',
    '--group=0',
    '--mtime=@1700000000',
    `--file=${layerTar}`,
    `--directory=${root}`,
    'bin',
    'etc',
    'home',
    'root',
    'tmp',
    'var',
  ]);
  await writeOciLayout(folder, {
    layerTars: [layerTar],
    name,
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['sh'] },
  });
  for (const scratch of [root, layerTar]) await rm(scratch, { recursive: true });
}

/** Makes a root directory of /usr/bin/busybox, its applets as links, and a few users. */
async function writeBusyboxRoot(root: string): Promise<void> {
  for (const path of ['bin', 'etc', 'home/app', 'root', 'tmp', 'var/log'])
    await mkdir(join(root, path), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await chmod(join(root, 'root'), 0o700);
  await copyFile('/usr/bin/busybox', join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  const applets = (await checkProgram('/usr/bin/busybox', ['--list'])).trim().split('\n');
  for (const applet of applets.filter((name) => name !== 'busybox')) {
    await symlink('busybox', join(root, 'bin', applet));
  }
  await writeFile(join(root, 'etc/passwd'), PASSWD);
  await writeFile(join(root, 'etc/group'), GROUP);
}
