import { expect, it } from 'vitest';
import { BuildError, diskFailure } from '../../src/core/error.ts';

const messageOf = (command: string): string => new BuildError('EXEC_FAILED', { command, exitCode: 1 }).message;

it('process errors: show the start of a command that is a whole script', () => {
  expect(messageOf('x'.repeat(1000))).toContain(`"${'x'.repeat(1000)}" did`);
  expect(messageOf('x'.repeat(1001))).toContain(`"${'x'.repeat(1000)}…" did`);
});

it.each([
  [64 << 20, 67_121_152, 'limit 64 MiB, peak 64 MiB'],
  [1.5 * 1024 ** 3, 1_000_000, 'limit 1.5 GiB, peak 976.6 KiB'],
  [1000, 0, 'limit 1000 B, peak 0 B'],
])('out of memory: says how much in units of memory (%i, %i)', (limitBytes, peakBytes, text) => {
  expect(new BuildError('OUT_OF_MEMORY', { command: 'make', limitBytes, peakBytes }).message).toBe(
    `process "make" did not complete successfully: out of memory: ${text}`,
  );
});

it.each([
  ['a system call', Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO', path: '/store/x' })],
  ['rmSync', Object.assign(new Error(", Unknown error: Input/output error '/store/x'"), { code: '' })],
])('a disk that fails: is known from what %s throws', (_, error) => {
  expect(diskFailure(error, '/store')?.message).toMatch(/^the disk fails at \/store\/x: EIO: i\/o error, /);
  expect(diskFailure(new Error('EIO'), '/store')).toBeUndefined();
});
