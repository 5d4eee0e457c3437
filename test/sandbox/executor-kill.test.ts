import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { buildDist } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';

const fixture = new URL('fixtures/run-step.ts', import.meta.url).pathname;

describeWith(['root', 'overlay', 'busybox', 'runc', 'crun', 'runsc'], 'a builder that is killed', () => {
  beforeAll(buildDist);
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-kill-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('SIGKILL of node: leaves no process, no mount, no cgroup', async () => {
    const { node, mark } = await startStep(directory, (seconds) => `setsid sleep ${seconds} & sleep ${seconds}`);
    node.kill('SIGKILL');
    await once(node, 'close');
    await eventually(() => expect(leftovers(mark, node.pid)).toEqual([]));
  });
  it.each(['runc', 'crun', 'runsc'])('SIGKILL of node: leaves nothing of a step that %s runs', async (runtime) => {
    const env = { ...process.env, RUNTIME: runtime };
    const { node, mark } = await startStep(directory, (seconds) => `sleep ${seconds} & sleep ${seconds}`, { env });
    node.kill('SIGKILL');
    await once(node, 'close');
    await eventually(() => expect(leftovers(mark, node.pid)).toEqual([]));
  });
  it('SIGKILL of node and of its helper at once: leaves no process', async () => {
    const { node, mark } = await startStep(directory, (seconds) => `setsid sleep ${seconds} & exec sleep ${seconds}`);
    const helpers = childrenOf(node.pid);
    expect(helpers.length).toBeGreaterThan(0);
    for (const pid of [node.pid ?? 0, ...helpers]) process.kill(pid, 'SIGKILL');
    await once(node, 'close');
    await eventually(() => expect(leftovers(mark).filter((each) => !each.startsWith('cgroup'))).toEqual([]));
    // Nobody was left to remove the groups; the next builder on this machine sweeps them after a minute.
    for (const each of leftovers(mark, node.pid)) rmdirSync(each.replace('cgroup ', ''));
  });
  it('SIGINT of its process group: reaches node alone', async () => {
    const { node, mark } = await startStep(directory, (seconds) => `trap "echo caught" INT; sleep ${seconds}`, {
      detached: true,
    });
    process.kill(-(node.pid ?? 0), 'SIGINT');
    const [, signal] = (await once(node, 'close')) as [number | null, string | null];
    expect(signal).toBe('SIGINT');
    await eventually(() => expect(leftovers(mark, node.pid)).toEqual([]));
  });
});

/** Starts a builder whose step sleeps; `mark` is a number of seconds that nobody else sleeps. */
async function startStep(
  directory: string,
  script: (mark: string) => string,
  o: { readonly detached?: boolean; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ readonly node: ChildProcess; readonly mark: string }> {
  const mark = `86${process.pid}.${Math.trunc(Math.random() * 1e6)}`;
  const node = spawn(process.execPath, [fixture, directory, `echo up; ${script(mark)}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...o,
  });
  const [chunk] = (await once(node.stdout, 'data')) as [Buffer];
  expect(chunk.toString()).toBe('up\n');
  await eventually(() => expect(leftovers(mark).length).toBeGreaterThan(0));
  return { node, mark };
}

/** Processes that have `mark` in their command line or a mount below /tmp/tsbuild-kill-, and cgroups named after `pid`. */
function leftovers(mark: string, pid?: number): string[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const processes = ids
    .filter((id) => read(`/proc/${id}/cmdline`).includes(`sleep\0${mark}`))
    .map((id) => `process ${id}`);
  const mounted = ids
    .filter((id) => read(`/proc/${id}/mountinfo`).includes('tsbuild-kill-'))
    .map((id) => `mount of ${id}`);
  const groups =
    pid === undefined ? [] : globSync(`/sys/fs/cgroup/{*,*/*,*/*/*}/tsbuild-${pid}-*`).map((path) => `cgroup ${path}`);
  return [...processes, ...mounted, ...groups];
}

function childrenOf(parent: number | undefined): number[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids
    .filter((id) =>
      read(`/proc/${id}/stat`)
        .replace(/^.*\) . /, '')
        .startsWith(`${parent} `),
    )
    .map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}

async function eventually(check: () => void): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(20);
    }
  }
}
