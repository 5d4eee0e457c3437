import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { closeGate, openGate, passGate } from '../../sandbox/native-calls-gate.ts';
import { runProgram } from '../support/run-program.ts';

const fixture = new URL('fixtures/end-loading-workers.ts', import.meta.url).pathname;

it('gate: a worker that has begun to load is ended without harm to the process', async () => {
  const { stderr } = await promisify(execFile)(process.execPath, [fixture]);
  expect(stderr).toBe('');
});

it('gate: a process that exits while workers load ends with its status', async () => {
  const program = new URL('fixtures/exit-while-loading.ts', import.meta.url).pathname;
  for (let round = 0; round < 10; round++) {
    const { status, signal } = await runProgram(process.execPath, [program]);
    expect({ status, signal }).toEqual({ status: 130, signal: null });
  }
});

it('gate: a worker that finds it closed loads nothing, and waits to be ended', async () => {
  const gate = openGate();
  closeGate(gate);
  const closed = Atomics.load(gate, 0);
  const worker = new Worker(new URL('fixtures/load-in-gate.ts', import.meta.url), { workerData: gate });
  await once(worker, 'online');
  expect(await worker.terminate()).toBe(1);
  expect(Atomics.load(gate, 0)).toBe(closed);
});

it('gate: is passed also where loading fails', () => {
  const gate = openGate();
  expect(() => passGate(gate, () => expect.unreachable('no library'))).toThrow('no library');
  closeGate(gate);
});
