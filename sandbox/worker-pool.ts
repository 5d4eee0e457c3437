import { Worker } from 'node:worker_threads';
import type { FileCalls, FileSinks, FileSources } from './file-jobs.ts';
import { closeGate, openGate } from './native-calls-gate.ts';
import { Cancelled, decodeError, type FromWorker, type ToWorker } from './worker-protocol.ts';

/** Two: while one thread tars a layer, the other prepares the next step. */
const MAX_WORKERS = 2;
/** How long a job waits for a thread that is busy; starting another thread takes as much of a processor. */
const PATIENCE_MS = 50;
/** Bytes on their way into a sink that it has not yet taken. */
const SINK_WINDOW = 8 << 20;
/** Small chunks are joined to messages of this size. */
const SINK_MESSAGE = 1 << 20;

interface Job {
  readonly onMessage: (message: FromWorker) => void;
  readonly onFailure: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly gate: Int32Array;
  isUp: boolean;
  readonly jobs: Map<number, Job>;
}

interface JobOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The threads that do file work: synchronous calls on many small files are five times as fast as promises, and must not block the main
 * thread. Threads start when there is work and do not keep the process alive.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #threads: Thread[] = [];
  readonly #waiting = new Set<OpenJob>();
  #patience: NodeJS.Timeout | undefined;
  #lastJob = 0;

  /** Starts a thread ahead of the first job. */
  warmUp(): void {
    if (this.#threads.length === 0) this.#start();
  }

  /** Whether a thread takes jobs already. */
  get isUp(): boolean {
    return this.#threads.some(({ isUp }) => isUp);
  }

  /** Does one job. @throws whatever the job throws; `signal.reason` where it was aborted. */
  async call<N extends keyof FileCalls>(
    name: N,
    args: FileCalls[N]['args'],
    o: JobOptions = {},
  ): Promise<FileCalls[N]['result']> {
    o.signal?.throwIfAborted();
    using job = this.#open(o.signal);
    job.send({ kind: 'call', job: job.id, name, args, cancel: job.cancel });
    return (await job.result) as FileCalls[N]['result'];
  }

  /** Feeds `bytes` to a job, no faster than it takes them. */
  async sink<N extends keyof FileSinks>(
    name: N,
    args: FileSinks[N]['args'],
    o: JobOptions & { readonly bytes: AsyncIterable<Uint8Array> },
  ): Promise<FileSinks[N]['result']> {
    o.signal?.throwIfAborted();
    using job = this.#open(o.signal);
    job.send({ kind: 'sink', job: job.id, name, args, cancel: job.cancel });
    try {
      for await (const data of joined(o.bytes)) {
        if (job.settled) break;
        // Handed over, the chunk is empty here.
        job.inFlight += data.length;
        job.send({ kind: 'chunk', job: job.id, data }, [data.buffer as ArrayBuffer]);
        if (job.inFlight > SINK_WINDOW) await Promise.race([job.drained(), job.result]);
      }
      job.send({ kind: 'end', job: job.id });
    } catch (error) {
      job.abandon();
      // The job's own failure is the reason where it stopped the bytes.
      await job.result.catch((cause: unknown) => {
        if (!(cause instanceof Cancelled)) throw cause;
      });
      throw error;
    }
    return (await job.result) as FileSinks[N]['result'];
  }

  /** The bytes that a job makes, no faster than they are taken. */
  async *source<N extends keyof FileSources>(
    name: N,
    args: FileSources[N]['args'],
    o: JobOptions = {},
  ): AsyncGenerator<Uint8Array> {
    o.signal?.throwIfAborted();
    using job = this.#open(o.signal);
    job.send({ kind: 'source', job: job.id, name, args, cancel: job.cancel });
    job.send({ kind: 'pull', job: job.id });
    try {
      for (;;) {
        const data = await Promise.race([job.nextData(), job.result.then(() => undefined)]);
        if (data === undefined) return;
        job.send({ kind: 'pull', job: job.id });
        yield data;
      }
    } finally {
      job.abandon();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const job of this.#waiting) job.fail(ended());
    await Promise.all(
      this.#threads.splice(0).map(({ worker, gate }) => {
        closeGate(gate);
        return worker.terminate();
      }),
    );
  }

  #open(signal: AbortSignal | undefined): OpenJob {
    this.#lastJob++;
    const job = new OpenJob(this.#lastJob, { signal, left: (one) => this.#leave(one) });
    this.#waiting.add(job);
    if (this.#threads.length === 0) this.#start();
    this.#serve();
    return job;
  }

  #leave(job: OpenJob): void {
    this.#waiting.delete(job);
    this.#serve();
  }

  /** Gives those who wait to threads that have nothing to do; who is left waits a while from when the first thread is up. */
  #serve(): void {
    for (const thread of this.#threads.filter(({ jobs }) => jobs.size === 0)) this.#first()?.startOn(thread);
    if (this.#waiting.size > 0 && this.isUp) this.#patience ??= setTimeout(() => this.#spread(), PATIENCE_MS);
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  /** Lets nobody wait any longer: jobs may also wait for each other, and then one thread does several. */
  #spread(): void {
    this.#patience = undefined;
    for (let job = this.#first(); job !== undefined; job = this.#first()) {
      const [least] = this.#threads.toSorted((a, b) => a.jobs.size - b.jobs.size);
      job.startOn(
        least === undefined || (least.jobs.size > 0 && this.#threads.length < MAX_WORKERS) ? this.#start() : least,
      );
    }
  }

  /** Takes the one that has waited longest. */
  #first(): OpenJob | undefined {
    const [job] = this.#waiting;
    if (job !== undefined) this.#waiting.delete(job);
    return job;
  }

  #start(): Thread {
    // The bundle has the worker beside this module; from sources Node runs the .ts file itself.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const gate = openGate();
    const worker = new Worker(new URL(`./file-worker.${extension}`, import.meta.url), {
      workerData: gate,
      execArgv: [],
      stdin: false,
    });
    const thread: Thread = { worker, gate, isUp: false, jobs: new Map() };
    worker.on('online', () => {
      thread.isUp = true;
      this.#serve();
    });
    worker.on('message', (message: FromWorker) => thread.jobs.get(message.job)?.onMessage(message));
    const fail = (error: Error): void => {
      this.#threads.splice(this.#threads.indexOf(thread), this.#threads.includes(thread) ? 1 : 0);
      for (const job of thread.jobs.values()) job.onFailure(error);
      this.#spread();
    };
    worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => fail(ended()));
    worker.unref();
    this.#threads.push(thread);
    return thread;
  }
}

function ended(): Error {
  return new Error('the file worker has ended');
}

interface OpenJobOptions {
  readonly signal: AbortSignal | undefined;
  /** Called when it needs no thread any more. */
  readonly left: (job: OpenJob) => void;
}

/** One job's end on the main thread. */
class OpenJob implements Disposable {
  readonly id: number;
  readonly cancel = new Int32Array(new SharedArrayBuffer(4));
  readonly result: Promise<unknown>;
  readonly #o: OpenJobOptions;
  readonly #data: Uint8Array[] = [];
  readonly #settle = Promise.withResolvers<unknown>();
  /** What is to be told to the thread, as long as there is none. */
  readonly #unsent: [ToWorker, readonly ArrayBuffer[]][] = [];
  #thread: Thread | undefined;
  #wake = Promise.withResolvers<void>();
  settled = false;
  inFlight = 0;

  constructor(id: number, options: OpenJobOptions) {
    this.id = id;
    this.#o = options;
    this.result = this.#settle.promise;
    // Whoever awaits it sees the failure; nobody may be waiting at this moment.
    this.result.catch(() => undefined);
    options.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  startOn(thread: Thread): void {
    this.#thread = thread;
    if (thread.jobs.size === 0) thread.worker.ref();
    thread.jobs.set(this.id, {
      onMessage: (message) => this.#receive(message),
      onFailure: (error) => this.fail(error),
    });
    for (const [message, transfer] of this.#unsent.splice(0)) thread.worker.postMessage(message, transfer);
  }

  send(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#thread === undefined) this.#unsent.push([message, transfer]);
    else this.#thread.worker.postMessage(message, transfer);
  }

  /** Settles once the job has taken some of what was sent. */
  async drained(): Promise<void> {
    while (this.inFlight > SINK_WINDOW / 2 && !this.settled) await this.#wake.promise;
  }

  async nextData(): Promise<Uint8Array | undefined> {
    while (this.#data.length === 0 && !this.settled) await this.#wake.promise;
    return this.#data.shift();
  }

  abandon(): void {
    Atomics.store(this.cancel, 0, 1);
    if (!this.settled) this.send({ kind: 'abandon', job: this.id });
  }

  [Symbol.dispose](): void {
    this.#o.signal?.removeEventListener('abort', this.#abort);
    this.#forget();
  }

  readonly #abort = (): void => this.abandon();

  #receive(message: FromWorker): void {
    if (message.kind === 'result') this.#finish(() => this.#settle.resolve(message.value));
    else if (message.kind === 'error') this.fail(decodeError(message.error));
    else if (message.kind === 'taken') this.inFlight -= message.bytes;
    else this.#data.push(message.data);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  fail(error: Error): void {
    const { signal } = this.#o;
    const reason: unknown = signal?.aborted === true && error instanceof Cancelled ? signal.reason : error;
    this.#finish(() => this.#settle.reject(reason));
  }

  #finish(settle: () => void): void {
    this.settled = true;
    this.#forget();
    settle();
    this.#wake.resolve();
  }

  #forget(): void {
    const thread = this.#thread;
    if (thread?.jobs.delete(this.id) === true && thread.jobs.size === 0) thread.worker.unref();
    this.#o.left(this);
  }
}

/** Chunks of useful size, each in memory of its own that can be handed over. */
async function* joined(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let buffer = new Uint8Array(SINK_MESSAGE);
  let filled = 0;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < buffer.length) continue;
      yield buffer;
      buffer = new Uint8Array(SINK_MESSAGE);
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.slice(0, filled);
}
