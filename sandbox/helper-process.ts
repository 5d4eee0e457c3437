import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { OutputListener } from '../src/core/executor.ts';
import { BuildError, messageOf } from '../src/core/error.ts';
import { encodeStart, encodeStep, type HelperCommand, type HelperStart } from './helper-program.ts';
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
 * One helper that has begun a step and waits for the rest of it. It lives as long as its socket: closing our half, or dying, ends the step
 * and the helper, which cleans up behind itself.
 */
export class HelperProcess {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #closed: Promise<string>;

  private constructor(child: ChildProcess, helper: string) {
    this.#child = child;
    this.#socket = child.stdio[3] as Socket;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    child.once('error', (error) => reject(helperFailed(`start ${helper}`, error.message)));
    child.once('close', (code, signal) => resolve(signal ?? `exit status ${code}`));
    this.#closed = promise;
    // Nobody may be waiting yet, and a helper that has gone is seen by `close`: the socket has nothing to add.
    this.#closed.catch(() => undefined);
    this.#socket.on('error', () => undefined);
    // Waiting for work keeps no process alive.
    child.unref();
    this.#socket.unref();
  }

  /** @throws SANDBOX_FAILED where no process can be started. */
  static start(helper: string, start: HelperStart): HelperProcess {
    try {
      const child = spawn(helper, ['run'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'], env: {}, cwd: '/' });
      const started = new HelperProcess(child, helper);
      started.#socket.write(encodeStart(start));
      return started;
    } catch (error) {
      throw helperFailed(`start ${helper}`, messageOf(error));
    }
  }

  /** Its process, as /proc names it; there is none where it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  isWaiting(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Settles when nothing of it is left, however it ended; never rejects, and keeps no process alive. */
  async gone(): Promise<void> {
    await this.#closed.catch(() => undefined);
  }

  /**
   * Gives it the rest of its program and waits until nothing is left of it.
   * @throws the signal's reason, after everything is gone; SANDBOX_FAILED where the helper itself could not run or was killed.
   */
  async run(
    step: readonly HelperCommand[],
    { output, signal }: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<HelperOutcome> {
    const outcome = new OutcomeCollector(output);
    this.#socket.on('data', (chunk: Buffer) => outcome.push(chunk));
    const kill = (): unknown => this.#socket.end();
    signal?.addEventListener('abort', kill, { once: true });
    if (signal?.aborted) kill();
    else this.#socket.write(encodeStep(step));
    try {
      const end = await this.#end();
      signal?.throwIfAborted();
      return outcome.finish(end);
    } finally {
      signal?.removeEventListener('abort', kill);
    }
  }

  /**
   * Waits until a program without a step says that it stays, by a reading. It is then left alone until it is dismissed.
   * @returns the command that failed, `undefined` where none did. @throws SANDBOX_FAILED where the helper itself could not run or was killed.
   */
  async stay(): Promise<HelperFailure | undefined> {
    const { promise: stays, resolve } = Promise.withResolvers<void>();
    const outcome = new OutcomeCollector(
      () => undefined,
      () => resolve(),
    );
    this.#socket.on('data', (chunk: Buffer) => outcome.push(chunk));
    this.#socket.write(encodeStep([]));
    const end = await Promise.race([stays, this.#end()]);
    this.#child.unref();
    this.#socket.unref();
    return typeof end === 'string' ? outcome.finish(end).failure : undefined;
  }

  /** Ends a helper that is not needed; settles when nothing is left of it. */
  async dismiss(): Promise<void> {
    this.#socket.end();
    this.#socket.resume();
    await this.#end().catch(() => undefined);
  }

  #end(): Promise<string> {
    this.#child.ref();
    this.#socket.ref();
    return this.#closed;
  }
}

class OutcomeCollector {
  readonly #output: OutputListener;
  readonly #stays: (() => void) | undefined;
  readonly #reader = new HelperRecordReader();
  readonly #readings = new Map<string, string>();
  readonly #notes: string[] = [];
  readonly #stubs: string[] = [];
  #failure: HelperFailure | undefined;
  #ended: HelperOutcome['ended'];
  #done = false;

  constructor(output: OutputListener, stays?: () => void) {
    this.#output = output;
    this.#stays = stays;
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
        this.#stays?.();
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
