import type { Diagnostic, SourceRange } from '../core/diagnostic.ts';
import { messageOf } from '../core/error.ts';
import type { ProgressEvent } from '../core/progress.ts';
import { digestOf, isDigest } from '../oci/digest.ts';
import type { StatusState, StepState } from './progress-state.ts';
import { isComplete } from './format-status.ts';
import type { Renderer } from './renderer.ts';

/** Progress as one JSON object a line, each a `SolveStatus` of BuildKit (client/graph.go), so that its tools can replay it. */
export function jsonRenderer(write: (text: string) => unknown): Renderer {
  return {
    show: (event, { step }) => {
      const status = toSolveStatus(event, step);
      if (status !== undefined) write(`${JSON.stringify(status)}\n`);
    },
    end: () => {},
  };
}

function toSolveStatus(event: ProgressEvent, step: StepState | undefined): object | undefined {
  switch (event.type) {
    case 'planned':
      return { vertexes: event.steps.map((info) => toVertex({ info })) };
    case 'warning':
      return { warnings: [toWarning(event.diagnostic)] };
    case 'output': {
      const stream = event.stream === 'stdout' ? 1 : 2;
      const data = Buffer.from(event.chunk).toString('base64');
      return { logs: [{ vertex: vertexDigest(event.step), stream, data, timestamp: toTime(event.timeMs) }] };
    }
    case 'status': {
      const status = step?.statuses.get(event.id);
      return status === undefined ? undefined : { statuses: [toStatus(event.step, status)] };
    }
    case 'started':
    case 'completed':
    case 'failed':
    case 'canceled':
      return step === undefined ? undefined : { vertexes: [toVertex(step)] };
  }
}

function toVertex({ info, startedMs, endedMs, phase, error }: Pick<StepState, 'info'> & Partial<StepState>): object {
  const canceled = phase === 'canceled' ? { error: 'context canceled' } : {};
  return {
    digest: vertexDigest(info.id),
    ...(info.inputs.length === 0 ? {} : { inputs: info.inputs.map(vertexDigest) }),
    name: info.name,
    ...(startedMs === undefined ? {} : { started: toTime(startedMs) }),
    ...(endedMs === undefined ? {} : { completed: toTime(endedMs) }),
    ...(phase === 'cached' ? { cached: true } : {}),
    ...(phase === 'failed' ? { error: messageOf(error) } : canceled),
  };
}

function toStatus(step: string, status: StatusState): object {
  return {
    id: status.id,
    vertex: vertexDigest(step),
    ...(status.total === undefined ? {} : { total: status.total }),
    current: status.current,
    timestamp: toTime(status.timeMs),
    started: toTime(status.startedMs),
    ...(isComplete(status) ? { completed: toTime(status.timeMs) } : {}),
  };
}

/** A warning as BuildKit's `VertexWarning`: texts are bytes, so base64 in JSON. */
export function toWarning({ code, message, help, url, range }: Diagnostic): object {
  return {
    level: 1,
    short: toBase64(`${code}: ${message}`),
    ...(help === undefined ? {} : { detail: [toBase64(help)] }),
    ...(url === undefined ? {} : { url }),
    ...(range === undefined ? {} : { sourceInfo: { filename: range.file }, range: [toRange(range)] }),
  };
}

/** BuildKit counts characters of a line from 0. */
function toRange({ start, end }: SourceRange): object {
  return {
    start: { line: start.line, character: start.column - 1 },
    end: { line: end.line, character: end.column - 1 },
  };
}

/** BuildKit's vertices are named by digests; a step's id that is none is hashed. */
function vertexDigest(id: string): string {
  return isDigest(id) ? id : digestOf(id);
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
