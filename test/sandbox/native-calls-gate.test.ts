import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { closeGate, openGate, passGate } from '../../sandbox/native-calls-gate.ts';

const fixture = new URL('fixtures/end-loading-workers.ts', import.meta.url).pathname;

it('gate: a worker that has begun to load is ended without harm to the process', async () => {
  const { stderr } = await promisify(execFile)(process.execPath, [fixture]);
  expect(stderr).toBe('');
});

it('gate: nothing is loaded once it is closed', () => {
  const gate = openGate();
  closeGate(gate);
  passGate(gate, () => expect.unreachable());
});

it('gate: is passed also where loading fails', () => {
  const gate = openGate();
  expect(() => passGate(gate, () => expect.unreachable('no library'))).toThrow('no library');
  closeGate(gate);
});
