import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';

const fixture = new URL('fixtures/run-step.ts', import.meta.url).pathname;
const uid = 61_234;

interface Outcome {
  readonly lines: readonly string[];
  readonly status: unknown;
  readonly notes: readonly string[];
}

/** Runs the script in a step of a builder that is not root and has no entry in /etc/subuid. */
async function runRootless(script: string): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), 'tsbuild-rootless-'));
  try {
    await chmod(directory, 0o755);
    await chown(directory, uid, uid);
    const command = [
      '--reuid',
      `${uid}`,
      '--regid',
      `${uid}`,
      '--clear-groups',
      process.execPath,
      fixture,
      directory,
      script,
      'rootless',
    ];
    const { stdout, stderr } = await promisify(execFile)('setpriv', command, { cwd: '/' });
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    return { ...(JSON.parse(lines.at(-1) ?? '') as Omit<Outcome, 'lines'>), lines: lines.slice(0, -1) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

describeWith(['root', 'overlay', 'busybox', 'setpriv'], 'without root', () => {
  beforeAll(buildDist);
  it('a step runs as root of a user namespace of its own', async () => {
    const { lines, status } = await runRootless(
      'id -u; cat /proc/self/uid_map; grep ^CapEff /proc/self/status; exit 3',
    );
    expect(status).toMatchObject({ kind: 'exited', code: 3 });
    expect(lines.map((line) => line.trim().replace(/\s+/g, ' '))).toEqual([
      '0',
      `0 ${uid} 1`,
      'CapEff: 00000000a80425fb',
    ]);
  });
  it('the isolation is the same: /proc masked, /sys read-only, /dev minimal, devices work', async () => {
    const script = [
      'echo x > /proc/sys/kernel/hostname',
      'mkdir /sys/fs/cgroup/x',
      'head -c 1 /proc/timer_list | wc -c',
      'head -c 3 /dev/urandom | wc -c; echo x > /dev/null',
      'mount -t tmpfs none /tmp || echo refused',
      'unshare -U true || echo refused',
      'ls /dev | wc -l',
    ];
    const { lines } = await runRootless(`exec 2>/dev/null; ${script.join('; ')}`);
    expect(lines).toEqual(['0', '3', 'refused', 'refused', '14']);
  });
  it('files are removed as overlayfs removes them, and stubs leave no trace', async () => {
    const { lines } = await runRootless('rm /etc/group; mkdir /etc/new; ls /etc; stat -c %Y /');
    expect(lines.slice(0, -1)).toEqual(['hosts', 'new', 'passwd', 'resolv.conf']);
  });
  it('says that root is the only user, where there are no ids for others', async () => {
    const { notes } = await runRootless('true');
    expect(notes.filter((note) => note.startsWith('root is the only user of steps'))).toHaveLength(1);
  });
  it('says that there are no cgroups, where there are none', async () => {
    const { notes } = await runRootless('true');
    expect(notes.filter((note) => note.includes('cgroup'))).toHaveLength(1);
  });
});
