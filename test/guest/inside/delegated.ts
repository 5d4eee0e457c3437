import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ExitStatus } from '../../../src/core/executor.ts';
import { buildDist } from '../../support/build-dist.ts';
import { checkProgram } from '../../support/run-program.ts';

const uid = 61_234;
const runStep = new URL('../../sandbox/fixtures/run-step.ts', import.meta.url).pathname;
const top = '/sys/fs/cgroup';
const slice = join(top, 'user.slice');
const scope = join(slice, 'run-1.scope');
const controllers = '+memory +pids +cpu +io +cpuset';

interface StepEnd {
  readonly output: string;
  readonly status: ExitStatus;
  readonly notes: readonly string[];
}

/** Runs a step as the user, in the group that was made theirs. */
async function step(directory: string, script: string, resources: object = {}): Promise<StepEnd> {
  const become = `exec setpriv --reuid ${uid} --regid ${uid} --clear-groups "$@"`;
  const args = [process.execPath, runStep, directory, script, 'rootless', ':', JSON.stringify(resources)];
  const stdout = await checkProgram('sh', ['-c', `echo $$ > ${scope}/cgroup.procs; ${become}`, 'sh', ...args], {
    cwd: '/',
  });
  const lines = stdout.trimEnd().split('\n');
  return { output: lines.slice(0, -1).join('\n'), ...(JSON.parse(lines.at(-1) ?? '') as Omit<StepEnd, 'output'>) };
}

describe('a group that systemd has delegated to an ordinary user', () => {
  let directory = '';
  beforeAll(buildDist);
  beforeEach(async () => {
    await writeFile(join(top, 'cgroup.subtree_control'), controllers);
    await mkdir(slice);
    await writeFile(join(slice, 'cgroup.subtree_control'), controllers);
    await mkdir(scope);
    for (const file of ['', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'])
      await chown(join(scope, file), uid, uid);
    directory = await mkdtemp(join(tmpdir(), 'delegated-'));
    await chmod(directory, 0o755);
    await chown(directory, uid, uid);
  });
  afterEach(async () => {
    const entries = await readdir(scope, { withFileTypes: true });
    expect(entries.filter((entry) => entry.isDirectory())).toEqual([]);
    await checkProgram('rmdir', [scope, slice]);
    await rm(directory, { recursive: true });
  });
  it('gives steps limits and accounting, and is left as it was', async () => {
    const script = 'cat /proc/self/cgroup; cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max';
    const { output, status, notes } = await step(directory, script, { memoryBytes: 32 << 20, pids: 77 });
    expect(output).toBe('0::/\n77\n33554432');
    expect(notes.filter((note) => /cgroup|refused/.test(note))).toEqual([]);
    expect(status.usage.peakMemoryBytes).toBeGreaterThan(0);
  });
  it('ends a step that needs too much memory', async () => {
    const { status } = await step(directory, 'exec tail -c 100000000 /dev/zero', { memoryBytes: 16 << 20 });
    expect(status).toMatchObject({ kind: 'out-of-memory', limitBytes: 16 << 20 });
  });
});
