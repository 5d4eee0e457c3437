import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildDist } from '../support/build-dist.ts';
import { runScriptAs, type Person } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import type { ProgramResult } from '../support/run-program.ts';

const runStep = new URL('../sandbox/fixtures/run-step.ts', import.meta.url).pathname;

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
    'device nodes that are made for a step: through links that come and go, upwards, and from a directory outside of a chroot',
    'for f in /proc/[0-9]*/root /proc/[0-9]*/cwd; do mknod $f/CANARY/n c 1 3 && echo $f; done; ' +
      // With a directory of the same name inside, where the nodes are to end.
      'mkdir -p CANARY /data/real /data/jail/bin; cp /bin/busybox /data/jail/bin; ' +
      '(while :; do ln -sfn CANARY /data/way; ln -sfn /data/real /data/way; done) & ' +
      'for i in $(seq 50); do mknod /data/way/n$i c 1 3; mknod ../../../../../../..CANARY/u$i c 1 3; done; kill $!; ' +
      'cd /data/real; busybox chroot /data/jail /bin/busybox mknod ../../../../../../../..CANARY/c c 1 3; rm -r CANARY /data/way',
  ],
  [
    'CVE-2022-0185: a user namespace, and what it would allow',
    'unshare -U true && echo user; unshare -m true && echo mount',
  ],
  ['CVE-2018-15664: the canary by its path', 'ls CANARY && echo seen; cat CANARY/secret'],
  [
    'CVE-2019-14271, CVE-2024-21626: memory, environment and mounts of the builder',
    'for p in /proc/[0-9]*; do head -c 1 $p/mem && echo $p; tr "\\0" "\\n" < $p/environ | grep -q ^TSBUILD && echo $p; done',
  ],
  [
    'the terminal of whoever builds: /dev/tty, /dev/console',
    'for f in /dev/tty /dev/console /dev/tty0 /dev/tty1; do (: < $f) && echo $f; done',
  ],
  [
    'CVE-2023-27561: mounts over /proc and /sys, and into them',
    'mount -t proc none /proc && echo proc; mount -t tmpfs none /sys && echo sys; mount --bind / /tmp && echo bind; umount -l /proc && echo umount',
  ],
  [
    'stopping, killing or tracing whoever watches the step',
    '[ $PPID = 0 ] || echo parent; for p in /proc/[0-9]*; do grep -q -e node -e tsbuild $p/comm && echo $p; done',
  ],
  [
    'CVE-2021-41091: setuid programs for users of the host',
    'cp /bin/busybox /data/su; chmod 6755 /data/su; [ -u /data/su ] || echo no setuid',
  ],
  ['processes of the host', 'for p in /proc/[0-9]*; do grep -q tsbuild-sandbox $p/comm && echo $p; done; kill -9 -1'],
];

/** Images whose own directories are made to lead the sandbox astray, as scripts run in their root; links are to the canary. */
const images: readonly (readonly [name: string, lay: string])[] = [
  ['CVE-2025-31133: /dev/null is a link', 'mkdir dev; ln -s CANARY/secret dev/null'],
  [
    'CVE-2025-52565: /dev/console and /dev/pts are links',
    'mkdir dev; ln -s CANARY/secret dev/console; ln -s CANARY dev/pts',
  ],
  ['CVE-2019-19921: /proc is a link', 'ln -s CANARY proc'],
  ['CVE-2019-19921: /sys is a link', 'ln -s CANARY sys'],
  ['/dev is a link', 'ln -s CANARY dev'],
  [
    'CVE-2024-9341: /etc/hosts and /etc/resolv.conf are links',
    'ln -s CANARY/secret etc/hosts; ln -s ../../../../../../../..CANARY/secret etc/resolv.conf',
  ],
  ['/etc is a link', 'mv etc elsewhere; ln -s CANARY etc'],
  ['/proc, /sys and /dev are files', 'touch proc sys dev'],
  ['links in a circle', 'ln -s sys sys; rm -rf dev; ln -s /dev/x dev'],
  ['/etc/resolv.conf is a FIFO', 'mkfifo etc/resolv.conf etc/hosts'],
];

const persons = [
  ['root', 'as root'],
  ['user', 'as an ordinary user'],
] as const;

describeWith(['root', 'overlay', 'busybox', 'setpriv', 'newuidmap'], 'what a step meets', () => {
  let directory = '';
  let canary = '';
  beforeAll(buildDist);
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-escape-'));
    canary = `${directory}-canary`;
    await mkdir(canary);
    await writeFile(join(canary, 'secret'), 'host secret');
    // Whoever gets here may do what he likes: nothing but the sandbox keeps a step from it.
    for (const path of [canary, join(canary, 'secret')]) await chmod(path, 0o777);
  });
  afterEach(async () => {
    expect(await readdir(canary)).toEqual(['secret']);
    expect(await readFile(join(canary, 'secret'), 'utf8')).toBe('host secret');
    for (const path of [directory, canary]) await rm(path, { recursive: true, force: true });
  });

  /** Runs a step; gives what it printed, and the last line, which the fixture adds. */
  async function step(person: Person, script: string, lay?: string): Promise<ProgramResult> {
    const text = `exec 2>/dev/null; ${script.replaceAll('CANARY', canary)}; true`;
    const more = lay === undefined ? [] : [lay.replaceAll('CANARY', canary)];
    return runScriptAs(person, { script: runStep, directory, args: [text], more });
  }

  describe.each(persons)('%s', (person, who) => {
    it(`${who}: nothing that is tried succeeds`, async () => {
      const script = attempts.map(([name, text]) => `echo '== ${name}'; (${text})`).join('; ');
      const { stdout, stderr } = await step(person, script);
      // What succeeded stands below its heading.
      expect(stdout.trimEnd().split('\n').slice(0, -1), stderr).toEqual(attempts.map(([name]) => `== ${name}`));
    });
    it.each(images)(`${who}: %s: nothing of the host is shown or changed`, async (_, lay) => {
      const script =
        'for d in / /dev /sys /dev/pts /etc /proc /run /tmp /data; do cat $d/null $d/secret $d/hosts; done; echo x > /dev/null; echo x > /dev/console';
      const { stdout, stderr } = await step(person, script, lay);
      expect(stdout).not.toContain('host secret');
      // It ran, or was refused in so many words.
      expect(stdout + stderr).toMatch(/^\{"status":|SANDBOX_FAILED/m);
    });
  });
});
