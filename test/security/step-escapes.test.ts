import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { openStepRig } from '../support/step-rig.ts';

const runStep = new URL('../sandbox/fixtures/run-step.ts', import.meta.url).pathname;
const uid = 61_234;

/** What a step tries, as scripts that print something only where they succeed; CANARY is a directory of the host. */
const attempts: readonly (readonly [name: string, script: string])[] = [
  [
    'CVE-2019-5736: opening a program of the builder for writing',
    'for e in /proc/[0-9]*/exe; do (exec 3<>$e) && echo $e; done',
  ],
  [
    'CVE-2022-0492: release_agent of a cgroup',
    'mkdir /tmp/c; mount -t cgroup -o memory none /tmp/c && echo mounted; find /sys/fs/cgroup -name release_agent | while read f; do echo /x > $f && echo $f; done',
  ],
  [
    'CVE-2025-52881: files of /proc that change or stop the host',
    'for f in sys/kernel/core_pattern sys/kernel/modprobe sys/vm/panic_on_oom sysrq-trigger; do [ ! -e /proc/$f ] || { echo x > /proc/$f && echo $f; }; done',
  ],
  [
    'CVE-2024-21626: directories of the host behind descriptors, /proc/1/root and /proc/1/cwd',
    'for f in /proc/[0-9]*/fd/* /proc/[0-9]*/root /proc/[0-9]*/cwd; do [ -d $f/CANARY ] && echo $f; [ -d $f/../../../../../../CANARY ] && echo $f; done',
  ],
  [
    'devices of the host: disks and memory',
    'mknod /tmp/b b 254 0; head -c 1 /tmp/b && echo disk; mknod /tmp/m c 1 1; head -c 1 /tmp/m && echo memory',
  ],
  [
    'CVE-2022-0185: a user namespace, and what it would allow',
    'unshare -U true && echo user; unshare -m true && echo mount',
  ],
  ['CVE-2018-15664: the canary by its path', 'ls CANARY && echo seen; cat CANARY/secret'],
  ['processes of the host', 'for p in /proc/[0-9]*; do grep -q tsbuild-sandbox $p/comm && echo $p; done; kill -9 -1'],
];

describeWith(['root', 'overlay', 'busybox', 'setpriv'], 'what a step tries', () => {
  let directory = '';
  let canary = '';
  beforeAll(buildDist);
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-escape-'));
    canary = join(directory, 'canary');
    await mkdir(canary);
    await writeFile(join(canary, 'secret'), 'host secret');
    for (const path of [directory, canary]) await chmod(path, 0o777);
    await chown(directory, uid, uid);
  });
  afterEach(async () => {
    expect(await readdir(canary)).toEqual(['secret']);
    expect(await readFile(join(canary, 'secret'), 'utf8')).toBe('host secret');
    await rm(directory, { recursive: true, force: true });
  });
  const scriptOf = (script: string): string => `exec 2>/dev/null; ${script.replaceAll('CANARY', canary)}; true`;

  it.each(attempts)('as root: %s', async (_, script) => {
    await using rig = await openStepRig(directory);
    await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
    expect((await rig.sh(executor, scriptOf(script))).stdout).toBe('');
  });
  it.each(attempts)('as an ordinary user: %s', async (_, script) => {
    const become = ['--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', process.execPath, runStep];
    const args = [...become, directory, scriptOf(script), 'rootless'];
    const { stdout } = await promisify(execFile)('setpriv', args, { cwd: '/' });
    expect(stdout.trimEnd().split('\n')).toEqual([expect.stringMatching(/^\{"status":/)]);
  });
});

/** Images whose own directories are made to lead the sandbox astray; links are to `canary`. */
const images: readonly (readonly [name: string, lay: (root: string, canary: string) => Promise<void>])[] = [
  [
    'CVE-2025-31133: /dev/null is a link',
    async (root, canary) => {
      await mkdir(join(root, 'dev'));
      await symlink(join(canary, 'secret'), join(root, 'dev/null'));
    },
  ],
  [
    'CVE-2025-52565: /dev/console and /dev/pts are links',
    async (root, canary) => {
      await mkdir(join(root, 'dev'));
      await symlink(join(canary, 'secret'), join(root, 'dev/console'));
      await symlink(canary, join(root, 'dev/pts'));
    },
  ],
  ['CVE-2019-19921: /sys is a link', (root, canary) => symlink(canary, join(root, 'sys'))],
  ['/dev is a link', (root, canary) => symlink(canary, join(root, 'dev'))],
  [
    'CVE-2024-9341: /etc/hosts and /etc/resolv.conf are links',
    async (root, canary) => {
      await symlink(join(canary, 'secret'), join(root, 'etc/hosts'));
      await symlink(join('../../../../../../../..', canary, 'secret'), join(root, 'etc/resolv.conf'));
    },
  ],
];

describeWith(['root', 'overlay', 'busybox'], 'images that lead astray', () => {
  beforeAll(buildDist);
  it.each(images)('%s: nothing of the host is shown or changed', async (_, lay) => {
    await using rig = await openStepRig();
    const canary = join(rig.top, 'canary');
    await mkdir(canary);
    await writeFile(join(canary, 'secret'), 'host secret');
    await lay(rig.lower, canary);
    await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
    const script =
      'for d in / /dev /sys /dev/pts /etc; do cat $d/null $d/secret $d/hosts; done 2>/dev/null; echo x > /dev/null; echo x > /dev/console';
    const { stdout } = await rig.sh(executor, script).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'SANDBOX_FAILED' });
      return { stdout: '' };
    });
    expect(stdout).not.toContain('host secret');
    expect(await readdir(canary)).toEqual(['secret']);
    expect(await readFile(join(canary, 'secret'), 'utf8')).toBe('host secret');
  });
});
