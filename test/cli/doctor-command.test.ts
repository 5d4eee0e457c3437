import { describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run-cli.ts';
import type { MachineReport } from '../../src/store-handle.ts';
import { fakeApi, fakeIo } from './fake-io.ts';

const healthy: MachineReport = {
  store: '/store',
  verdict: 'can-build',
  capabilities: [
    { name: 'kernel', state: 'available', detail: '6.1', use: 'everything', need: 'required' },
    {
      name: 'overlay',
      state: 'missing',
      detail: 'overlay: operation not permitted',
      use: 'layers without copying',
      need: 'optional',
      remedy: 'modprobe overlay',
    },
  ],
  choices: [{ name: 'snapshotter', choice: 'copy', why: 'overlayfs does not work' }],
};

async function run(line: string, report: MachineReport): Promise<{ status: number; stdout: string }> {
  const io = fakeIo();
  const status = await runCli(line.split(' '), io, fakeApi({ doctor: () => Promise.resolve(report) }));
  return { status, stdout: io.stdout.text };
}

describe('doctor', () => {
  test('prints what there is, what would be done, and how to get the rest', async () => {
    expect(await run('doctor', healthy)).toEqual({
      status: 0,
      stdout: [
        'FEATURE   STATE                FOUND                              FOR',
        'kernel    available            6.1                                everything',
        'overlay   missing (optional)   overlay: operation not permitted   layers without copying',
        '',
        'CHOICE        VALUE   WHY',
        'snapshotter   copy    overlayfs does not work',
        '',
        'To get what is missing:',
        '  overlay: modprobe overlay',
        '',
        'Images can be built here, in /store',
        '',
      ].join('\n'),
    });
  });
  test('--json: the whole report', async () => {
    const { status, stdout } = await run('doctor --json', healthy);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual(healthy);
  });
  test('exits with 1 where nothing can be built', async () => {
    const { status, stdout } = await run('doctor', { ...healthy, verdict: 'cannot-build', choices: [] });
    expect(status).toBe(1);
    expect(stdout).toMatch(/\nImages cannot be built here\n$/);
    expect(stdout).not.toContain('CHOICE');
  });
});
