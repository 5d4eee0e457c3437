import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reportMachine, type MachineReport } from '../../sandbox/machine-report.ts';
import { buildDist, tsbuildPath } from '../support/build-dist.ts';
import { describeWith } from '../support/requires.ts';
import { runProgram } from '../support/run-program.ts';

const uid = '61234';
const become: [string, ...string[]] = [
  'setpriv',
  '--reuid',
  uid,
  '--regid',
  uid,
  '--clear-groups',
  process.execPath,
  tsbuildPath,
];

/** The limit on user namespaces is one of each user namespace: it is set to none in a new one, which has all of our ids. */
const withoutNamespaces = `
cd "$0" && mkfifo up
unshare --user sh -c 'echo > up; exec sleep 60' &
read _ < up
echo 0 0 70000 > /proc/$!/uid_map && echo 0 0 70000 > /proc/$!/gid_map
nsenter --user --target $! sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"' sh "$@"
status=$?
kill $!
exit $status`;

async function doctor(...before: readonly [string, ...string[]]): Promise<{ status: unknown; report: MachineReport }> {
  const [program, ...args] = [...before, 'doctor', '--json', '--store', '/nonexistent/store'];
  const { status, stdout, stderr } = await runProgram(program, args, { cwd: '/' });
  expect(stderr).toBe('');
  return { status, report: JSON.parse(stdout) as MachineReport };
}
const choiceOf = ({ choices }: MachineReport, name: string): string | undefined =>
  choices.find((each) => each.name === name)?.choice;

describeWith(['root', 'overlay', 'cc', 'setpriv', 'unshare', 'crun'], 'doctor on this machine', () => {
  let directory = '';
  beforeAll(async () => {
    await buildDist();
    directory = await mkdtemp(join(tmpdir(), 'tsbuild-doctor-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('root: everything that is required is there, and nothing is left', async () => {
    const report = await reportMachine({ directory });
    expect(report.verdict).toBe('can-build');
    expect(choiceOf(report, 'snapshotter')).toBe('overlay');
    // What CI machines offer differs: Docker's firewall drops what is forwarded.
    expect(['bridge', 'slirp4netns', 'host']).toContain(choiceOf(report, 'network'));
    expect(choiceOf(report, 'user-namespace')).toBe(choiceOf(report, 'network') === 'host' ? 'initial' : 'own');
    expect(await readdir(directory)).toEqual([]);
  });
  it('what was asked for is what is chosen', async () => {
    const report = await reportMachine({ directory, snapshotter: 'copy', runtime: 'crun' });
    expect([choiceOf(report, 'snapshotter'), choiceOf(report, 'runtime')]).toEqual(['copy', 'crun']);
    expect(choiceOf(report, 'sync')).toBe('suppressed');
    const without = await reportMachine({ directory, runtime: 'nosuch' });
    expect(without.verdict).toBe('cannot-build');
    expect(without.capabilities.at(-1)).toMatchObject({
      name: 'runtime',
      state: 'missing',
      detail: 'it is not in PATH',
    });
    expect(choiceOf(await reportMachine({ directory, syncSteps: 'real' }), 'sync')).toBe('real');
  });
  it('ordinary user: the features are tried in a namespace of its own', async () => {
    const { status, report } = await doctor(...become);
    expect({ status, verdict: report.verdict }).toEqual({ status: 0, verdict: 'can-build' });
    expect(choiceOf(report, 'user-namespace')).toBe('single-id');
    expect(report.capabilities.find(({ name }) => name === 'id-mapping')?.remedy).toContain('uidmap');
  });
  it('ordinary user without user namespaces: says what to switch on, status 1', async () => {
    const { status, report } = await doctor('sh', '-c', withoutNamespaces, directory, ...become);
    expect({ status, verdict: report.verdict, choices: report.choices }).toEqual({
      status: 1,
      verdict: 'cannot-build',
      choices: [],
    });
    expect(report.capabilities.find(({ name }) => name === 'user-namespace')).toMatchObject({
      state: 'missing',
      need: 'required',
      remedy: 'sysctl -w user.max_user_namespaces=15000',
    });
  });
});
