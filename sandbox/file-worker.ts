import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../src/core/error.ts';
import type { ByteSink, FileCalls, FileSinks, FileSources, JobContext } from './file-jobs.ts';
import { Cancelled, encodeError, type FromWorker, type ToWorker } from './worker-protocol.ts';
import { openLayerTarSink } from './layer-apply.ts';
import { writeLayerTar } from './layer-diff.ts';
import { digestSelection } from './content-digest.ts';
import { unpackLayer } from './packed-layer.ts';
import { runFileOp } from './run-file-op.ts';
import { readFileInTree } from './read-file.ts';
import { resolveUserInTree } from './user-lookup.ts';
import { exportFiles, exportTar } from './export-tree.ts';
import { copySubtree } from './copy-subtree.ts';
import { diffCopy } from './copy-diff.ts';
import { materialise } from './copy-baseline.ts';
import { measureTree } from './tree-usage.ts';
import { probeOverlay } from './overlay-probe.ts';
import { passGate } from './native-calls-gate.ts';
import { syscalls } from './syscalls.ts';

type Calls = {
  readonly [N in keyof FileCalls]: (
    args: FileCalls[N]['args'],
    context: JobContext,
  ) => FileCalls[N]['result'] | Promise<FileCalls[N]['result']>;
};
type Sinks = {
  readonly [N in keyof FileSinks]: (
    args: FileSinks[N]['args'],
    context: JobContext,
  ) => ByteSink<FileSinks[N]['result']>;
};
type Sources = {
  readonly [N in keyof FileSources]: (args: FileSources[N]['args'], context: JobContext) => Iterator<Uint8Array, void>;
};

const calls: Calls = {
  writeTar: writeLayerTar,
  contentDigest: digestSelection,
  runFileOp,
  unpackLayer,
  readFile: readFileInTree,
  resolveUser: resolveUserInTree,
  exportFiles,
  materialise,
  diffCopy,
  copySubtree,
  measureTree,
  probeOverlay,
};
const sinks: Sinks = { applyTar: openLayerTarSink };
const sources: Sources = { exportTar };

/** Jobs that are under way between two messages. */
interface OpenJobs {
  readonly sinks: Map<number, ByteSink<unknown>>;
  readonly sources: Map<number, Iterator<Uint8Array, void>>;
}

invariant(parentPort !== null, 'the file worker runs as a worker thread');
const gate = workerData as Int32Array;
// With the first job: a thread that is started ahead leaves the processors to the build.
parentPort.once('message', () => passGate(gate, syscalls));
serve(parentPort);

/** Answers requests one after the other. */
function serve(port: MessagePort): void {
  const open: OpenJobs = { sinks: new Map(), sources: new Map() };
  port.on('message', (message: ToWorker) => {
    try {
      receive(message, open, (answer) => port.postMessage(answer));
    } catch (error) {
      open.sinks.get(message.job)?.abandon();
      open.sinks.delete(message.job);
      open.sources.delete(message.job);
      port.postMessage({ kind: 'error', job: message.job, error: encodeError(error) } satisfies FromWorker);
    }
  });
}

function receive(message: ToWorker, open: OpenJobs, answer: (message: FromWorker) => void): void {
  const { job } = message;
  switch (message.kind) {
    case 'call': {
      const call = calls[message.name] as (args: unknown, context: JobContext) => unknown;
      const value = call(message.args, contextOf(message.cancel));
      if (value instanceof Promise)
        value
          .then((settled: unknown) => answer({ kind: 'result', job, value: settled }))
          .catch((error: unknown) => answer({ kind: 'error', job, error: encodeError(error) }));
      else answer({ kind: 'result', job, value });
      return;
    }
    case 'sink': {
      const openSink = sinks[message.name] as (args: unknown, context: JobContext) => ByteSink<unknown>;
      open.sinks.set(job, openSink(message.args, contextOf(message.cancel)));
      return;
    }
    case 'source': {
      const openSource = sources[message.name] as (args: unknown, context: JobContext) => Iterator<Uint8Array, void>;
      open.sources.set(job, openSource(message.args, contextOf(message.cancel)));
      return;
    }
    case 'chunk':
      open.sinks.get(job)?.push(message.data);
      answer({ kind: 'taken', job, bytes: message.data.length });
      return;
    case 'end':
      finishSink(job, open, answer);
      return;
    case 'pull':
      pull(job, open, answer);
      return;
    case 'abandon':
      abandon(job, open);
  }
}

function finishSink(job: number, open: OpenJobs, answer: (message: FromWorker) => void): void {
  const sink = open.sinks.get(job);
  if (sink === undefined) return;
  const value = sink.finish();
  open.sinks.delete(job);
  answer({ kind: 'result', job, value });
}

function pull(job: number, open: OpenJobs, answer: (message: FromWorker) => void): void {
  const source = open.sources.get(job);
  if (source === undefined) return;
  const next = source.next();
  if (next.done !== true) {
    answer({ kind: 'data', job, data: next.value });
    return;
  }
  open.sources.delete(job);
  answer({ kind: 'result', job, value: undefined });
}

/** A job between two messages ends here; one that runs sees its cancel word instead. */
function abandon(job: number, open: OpenJobs): void {
  const source = open.sources.get(job);
  open.sources.delete(job);
  source?.return?.();
  if (open.sinks.has(job)) throw new Cancelled('cancelled');
}

function contextOf(cancel: Int32Array): JobContext {
  const checkpoint = (): void => {
    if (Atomics.load(cancel, 0) !== 0) throw new Cancelled('cancelled');
  };
  return { checkpoint, beforeRead: checkpoint };
}
