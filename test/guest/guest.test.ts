import { beforeAll, expect, it } from 'vitest';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { runInGuest } from './guest.ts';
import { vitestCommand } from './vitest-command.ts';

const patienceMs = 480_000;

/** What depends most on the kernel and on cgroups of version 2; `npm run test:guest` runs more. */
const files = [
  'test/guest/inside',
  'test/sandbox/cgroup-',
  'test/sandbox/executor-native',
  'test/sandbox/executor-oci',
  'test/sandbox/step-users',
  'test/security/step-escapes',
];
const names = [
  'a group that systemd has delegated',
  'cgroup (v2: kernel|limits|control > v2)',
  'executor: native > (memory|pids|usage|/proc|namespaces|devices|device nodes):',
  'executor: crun > (memory|pids|devices):',
  'namespaces of root’s steps',
  'as (root|an ordinary user): (nothing that is tried|CVE-2025-31133)',
];

describeWith(['root', 'busybox', 'cc', 'mkfs.ext4', 'qemu-system-x86_64', 'setpriv', 'runc', 'crun'], 'guest', () => {
  beforeAll(buildDist);
  it(
    'steps keep their promises under an older kernel with cgroups of version 2 only',
    { timeout: patienceMs + 10_000 },
    async () => {
      const command = `grep -c . /sys/fs/cgroup/cgroup.controllers && ${vitestCommand(...files, '-t', names.join('|'))}`;
      const { status, output, console } = await runInGuest(command, { signal: AbortSignal.timeout(patienceMs) });
      expect(status, `${output}\n${console}`).toBe(0);
      expect(output).toMatch(/Tests .*\d+ passed/);
      expect(output).not.toMatch(/Tests .*failed/);
      // A name that no test has any more would skip a whole file.
      expect(output).not.toMatch(/Test Files .*skipped/);
    },
  );
});
