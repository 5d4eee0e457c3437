import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { OutputListener } from '../src/core/executor.ts';
import { BuildError, isBuildError, messageOf } from '../src/core/error.ts';
import { encodeProgram, type HelperProgram } from './helper-program.ts';
import { HelperRecordReader, type HelperFailure, type HelperRecord } from './helper-record.ts';

/** What came of a program once nothing of it is left. */
export interface HelperOutcome {
  /** The command that failed; without one the step's program was started. */
  readonly failure: HelperFailure | undefined;
  /** wait(2)'s status of the step, `undefined` where it was killed with its guard. */
  readonly ended: Extract<HelperRecord, { type: 'ended' }> | undefined;
  readonly readings: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
  /** Names of the mount points that had to be made. */
  readonly stubs: readonly string[];
}

/**
 * Runs programs by the native helper. One helper is always started ahead and waits for its program, because starting one takes as long as
 * setting up a step.
 */
export class HelperRunner implements Disposable {
  readonly #helper: string;
  #spare: HelperProcess | undefined;
  #open = true;

  constructor(helper: string) {
    this.#helper = helper;
  }

  /**
   * Gives the program to a helper and waits until nothing is left of it.
   * @throws the signal's reason, after everything is gone; SANDBOX_FAILED where the helper itself could not run or was killed.
   */
  async run(
    program: HelperProgram,
    o: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<HelperOutcome> {
    o.signal?.throwIfAborted();
    const spare = this.#spare;
    this.#spare = undefined;
    const helper = spare?.isWaiting() ? spare : startHelper(this.#helper);
    const outcome = helper.run(program, o);
    setImmediate(() => this.#startSpare());
    return outcome;
  }

  #startSpare(): void {
    if (!this.#open || this.#spare !== undefined) return;
    try {
      this.#spare = startHelper(this.#helper);
    } catch (error) {
      // No process or descriptor is left for it: should that last, the next step says so.
      if (!isBuildError(error, 'SANDBOX_FAILED')) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#open = false;
    this.#spare?.dismiss();
    this.#spare = undefined;
  }
}

/** @throws SANDBOX_FAILED where no process can be started. */
function startHelper(helper: string): HelperProcess {
  try {
    return new HelperProcess(helper);
  } catch (error) {
    throw helperFailed(`start ${helper}`, messageOf(error));
  }
}

/** One helper. It lives as long as its socket: closing our half, or dying, ends the step and the helper. */
class HelperProcess {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #closed: Promise<string>;

  constructor(helper: string) {
    this.#child = spawn(helper, ['run'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'], env: {}, cwd: '/' });
    this.#socket = this.#child.stdio[3] as Socket;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#child.once('error', (error) => reject(helperFailed(`start ${helper}`, error.message)));
    this.#child.once('close', (code, signal) => resolve(signal ?? `exit status ${code}`));
    this.#closed = promise;
    // Nobody may be waiting yet, and a helper that has gone is seen by `close`: the socket has nothing to add.
    this.#closed.catch(() => undefined);
    this.#socket.on('error', () => undefined);
    // Waiting for work keeps no process alive.
    this.#child.unref();
    this.#socket.unref();
  }

  async run(
    program: HelperProgram,
    { output, signal }: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<HelperOutcome> {
    this.#child.ref();
    this.#socket.ref();
    const outcome = new OutcomeCollector(output);
    this.#socket.on('data', (chunk: Buffer) => outcome.push(chunk));
    const kill = (): void => this.dismiss();
    signal?.addEventListener('abort', kill, { once: true });
    try {
      this.#socket.write(encodeProgram(program));
      const end = await this.#closed;
      signal?.throwIfAborted();
      return outcome.finish(end);
    } finally {
      signal?.removeEventListener('abort', kill);
    }
  }

  isWaiting(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  dismiss(): void {
    this.#socket.end();
  }
}

class OutcomeCollector {
  readonly #output: OutputListener;
  readonly #reader = new HelperRecordReader();
  readonly #readings = new Map<string, string>();
  readonly #notes: string[] = [];
  readonly #stubs: string[] = [];
  #failure: HelperFailure | undefined;
  #ended: HelperOutcome['ended'];
  #done = false;

  constructor(output: OutputListener) {
    this.#output = output;
  }

  push(chunk: Buffer): void {
    for (const record of this.#reader.push(chunk)) this.#take(record);
  }

  finish(end: string): HelperOutcome {
    if (!this.#done) throw helperFailed('run', `the helper ended early: ${end}`);
    const { failure, ended } = { failure: this.#failure, ended: this.#ended };
    return { failure, ended, readings: this.#readings, notes: this.#notes, stubs: this.#stubs };
  }

  #take(record: HelperRecord): void {
    switch (record.type) {
      case 'output':
        this.#output(record.stream, record.chunk);
        break;
      case 'reading':
        this.#readings.set(record.key, record.text);
        break;
      case 'note':
        this.#notes.push(...record.text.split('\n'));
        break;
      case 'stub':
        this.#stubs.push(record.name);
        break;
      case 'failed':
        this.#failure = record.failure;
        break;
      case 'ended':
        this.#ended = record;
        break;
      case 'done':
        this.#done = true;
        break;
    }
  }
}

function helperFailed(step: string, reason: string): BuildError {
  return new BuildError('SANDBOX_FAILED', { step, reason });
}
