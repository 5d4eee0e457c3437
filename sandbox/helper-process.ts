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
 * One helper, which executes programs one after another: each is begun, and run when its step is known. It lives as long as its socket: closing
 * our half, or dying, ends the step and the helper, which cleans up behind itself.
 */
export class HelperProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #closed: Promise<string>;
  #records: OutcomeCollector | undefined;
  #state: 'begun' | 'free' | 'leaving' = 'begun';

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
    this.#socket.on('data', (chunk: Buffer) => this.#records?.push(chunk));
    this.#rest();
  }

  /** Begins its first program. @throws SANDBOX_FAILED where no process can be started. */
  static start(helper: string, start: HelperStart): HelperProcess {
    try {
      const child = spawn(helper, ['run'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'], env: {}, cwd: '/' });
      const started = new HelperProcess(child, helper);
      started.begin(start);
      return started;
    } catch (error) {
      throw helperFailed(`start ${helper}`, messageOf(error));
    }
  }

  /** Its process, as /proc names it; there is none where it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it lives and has a program that it has begun. */
  isWaiting(): boolean {
    return this.#state === 'begun' && this.#lives();
  }

  /** Whether it lives and can begin another program. */
  isFree(): boolean {
    return this.#state === 'free' && this.#lives();
  }

  /** Begins a program, where it is free to. */
  begin(start: HelperStart): void {
    this.#state = 'begun';
    this.#socket.write(encodeStart(start));
  }

  /** Settles when nothing of it is left, however it ended; never rejects, and keeps no process alive. */
  async gone(): Promise<void> {
    await this.#closed.catch(() => undefined);
  }

  /**
   * Gives it the rest of its program and waits until nothing is left of that.
   * @throws the signal's reason, after everything is gone; SANDBOX_FAILED where the helper itself could not run or was killed.
   */
  async run(
    step: readonly HelperCommand[],
    { output, signal }: { readonly output: OutputListener; readonly signal: AbortSignal | undefined },
  ): Promise<HelperOutcome> {
    const records = this.#collect(output);
    const kill = (): void => this.#leave();
    signal?.addEventListener('abort', kill, { once: true });
    if (signal?.aborted) kill();
    else this.#socket.write(encodeStep(step));
    this.#wait();
    try {
      const next = await Promise.race([records.done, this.#closed]);
      if (next === 'again' && this.#state === 'begun') this.#state = 'free';
      const end = this.isFree() ? next : await this.#closed;
      signal?.throwIfAborted();
      return records.finish(end);
    } finally {
      signal?.removeEventListener('abort', kill);
      this.#rest();
    }
  }

  /**
   * Waits until a program without a step says that it stays, by a reading. It is then left alone until it is dismissed.
   * @returns the reading's text, or the command that failed. @throws SANDBOX_FAILED where the helper itself could not run or was killed.
   */
  async stay(): Promise<string | HelperFailure> {
    const records = this.#collect(() => undefined);
    this.#socket.write(encodeStep([]));
    this.#wait();
    const end = await Promise.race([records.stays, this.#closed]);
    this.#rest();
    return typeof end === 'string' ? (records.finish(end).failure ?? '') : end.said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dismiss();
  }

  /** Ends a helper that is not needed; settles when nothing is left of it. */
  async dismiss(): Promise<void> {
    this.#leave();
    this.#socket.resume();
    this.#wait();
    await this.#closed.catch(() => undefined);
  }

  #collect(output: OutputListener): OutcomeCollector {
    this.#records = new OutcomeCollector(output);
    return this.#records;
  }

  #lives(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #leave(): void {
    this.#state = 'leaving';
    this.#socket.end();
  }

  /** Waiting for work keeps no process alive, */
  #rest(): void {
    this.#child.unref();
    this.#socket.unref();
  }

  /** waiting for the end of work does. */
  #wait(): void {
    this.#child.ref();
    this.#socket.ref();
  }
}

/** What a helper tells while it executes one program. */
class OutcomeCollector {
  readonly #output: OutputListener;
  readonly #reader = new HelperRecordReader();
  readonly #readings = new Map<string, string>();
  readonly #notes: string[] = [];
  readonly #stubs: string[] = [];
  readonly #done = Promise.withResolvers<'again' | 'leaves'>();
  readonly #stays = Promise.withResolvers<{ readonly said: string }>();
  #failure: HelperFailure | undefined;
  #ended: HelperOutcome['ended'];
  #isDone = false;

  constructor(output: OutputListener) {
    this.#output = output;
  }

  /** Settles with the last record: whether the helper waits for another program. */
  get done(): Promise<'again' | 'leaves'> {
    return this.#done.promise;
  }

  /** Settles with the first reading. */
  get stays(): Promise<{ readonly said: string }> {
    return this.#stays.promise;
  }

  push(chunk: Buffer): void {
    for (const record of this.#reader.push(chunk)) this.#take(record);
  }

  finish(end: string): HelperOutcome {
    if (!this.#isDone) throw helperFailed('run', `the helper ended early: ${end}`);
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
        this.#stays.resolve({ said: record.text });
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
        this.#isDone = true;
        this.#done.resolve(record.next);
        break;
    }
  }
}

function helperFailed(step: string, reason: string): BuildError {
  return new BuildError('SANDBOX_FAILED', { step, reason });
}
