import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openExecutor } from '../../sandbox/open-executor.ts';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram, runProgram } from '../support/run-program.ts';
import { openStepRig } from '../support/step-rig.ts';
import { openTemp } from '../support/temp.ts';

const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;

describeWith(['root', 'overlay', 'cc', 'busybox'], 'device nodes that the helper makes', () => {
  beforeAll(buildDist);
  it('are made by a process that counts as one of the step’s', async () => {
    await using rig = await openStepRig();
    await using executor = await openExecutor({ stateDir: join(rig.top, 'state') });
    const count = 'cat /sys/fs/cgroup/pids.current /sys/fs/cgroup/pids/pids.current 2>/dev/null';
    const { stdout } = await rig.sh(executor, `${count}; mknod /tmp/null c 1 3 && ls /tmp; ${count}; true`);
    // The shell and what it runs; then that process too.
    expect(stdout).toBe('2\nnull\n3\n');
  });
  it('cannot be made where tsbuild itself is listened to: with a note, all else works', async () => {
    using temp = openTemp();
    await checkProgram('cc', ['-static', '-o', temp.at('listen'), fixture('listen.c')]);
    const args = [
      process.execPath,
      fixture('run-step.ts'),
      temp.path,
      'mknod /tmp/n c 1 3 2>&1; mkfifo /tmp/f && ls /tmp',
    ];
    const { stdout, stderr } = await runProgram(temp.at('listen'), args);
    expect(stderr).toBe('');
    expect(stdout).toContain('Function not implemented\nf\n');
    expect(stdout).toContain('steps can make no device nodes');
  });
});
