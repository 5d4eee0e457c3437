import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freezeGroup, killGroup, thawGroup } from '../../sandbox/cgroup-control.ts';
import { parseHierarchies } from '../../sandbox/cgroup-hierarchies.ts';
import { describeWith } from '../support/requires.ts';

const { v1, unified } = parseHierarchies(
  readFileSync('/proc/self/mountinfo', 'utf8'),
  readFileSync('/proc/self/cgroup', 'utf8'),
);
const freezer = v1.find(({ controllers }) => controllers.includes('freezer'))?.own;
const pids = v1.find(({ controllers }) => controllers.includes('pids'))?.own;

/** A shell in the group, with a child that counts into standard output. */
async function startCounting(group: string): Promise<{ count: () => number; ended: Promise<unknown> }> {
  const script = `echo $$ > ${group}/cgroup.procs; (i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done) & wait`;
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  let seen = 0;
  child.stdout.on('data', (chunk: Buffer) => (seen += chunk.length));
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  return { count: () => seen, ended };
}

/** Until something has been counted, or for as long as that would take. */
async function countOn(count: () => number, patienceMs: number): Promise<Motion> {
  const before = count();
  for (const end = performance.now() + patienceMs; performance.now() < end;)
    if (count() > before) return 'going on';
    else await new Promise<void>((resolve) => setImmediate(resolve));
  return 'still';
}

describeWith(['root'], 'cgroup control', () => {
  let group = '';
  beforeEach(() => {
    group = `tsbuild-${process.pid}-control`;
  });
  afterEach(() => {
    for (const each of [freezer, pids, unified?.own]) if (existsSync(`${each}/${group}`)) rmdirSync(`${each}/${group}`);
  });

  it.skipIf(freezer === undefined)('v1: freezes, thaws and kills', async () => {
    expect(await tryAll(`${freezer}/${group}`)).toEqual({ frozen: 'still', thawed: 'going on' });
  });
  it.skipIf(unified === undefined)('v2: freezes, thaws and kills', async () => {
    expect(await tryAll(`${unified?.own}/${group}`)).toEqual({ frozen: 'still', thawed: 'going on' });
  });
  it.skipIf(unified === undefined)('v2: kills what is frozen', async () => {
    const path = `${unified?.own}/${group}`;
    mkdirSync(path);
    const { ended } = await startCounting(path);
    await freezeGroup(path);
    await killGroup(path);
    await ended;
    expect(readFileSync(`${path}/cgroup.procs`, 'utf8')).toBe('');
  });
  it.skipIf(pids === undefined)('v1 without a freezer: kills what forks all the time', async () => {
    const path = `${pids}/${group}`;
    mkdirSync(path);
    writeFileSync(`${path}/pids.max`, '50');
    const bomb = 'f() { while :; do f & sleep 0.001; done; }; f';
    const child = spawn('sh', ['-c', `echo $$ > ${path}/cgroup.procs; echo up; ${bomb}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    await killGroup(path);
    await ended;
    expect(readFileSync(`${path}/cgroup.procs`, 'utf8')).toBe('');
  });
});

type Motion = 'still' | 'going on';

/** What a group does that is frozen and then thawed; in the end it is killed. */
async function tryAll(group: string): Promise<{ frozen: Motion; thawed: Motion }> {
  mkdirSync(group);
  const { count, ended } = await startCounting(group);
  await freezeGroup(group);
  await countOn(count, 50);
  const frozen = await countOn(count, 100);
  await thawGroup(group);
  const thawed = await countOn(count, 5000);
  await killGroup(group);
  await ended;
  return { frozen, thawed };
}
