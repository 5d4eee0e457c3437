import type { Diagnostic } from '../core/diagnostic.ts';
import type { ProgressEvent, StepInfo } from '../core/progress.ts';
import { LineSplitter } from './line-splitter.ts';

/** As many of a step's last lines as any view shows. */
const KEPT_LINES = 40;

/** How far one part of a step is. */
export interface StatusState {
  readonly id: string;
  readonly current: number;
  readonly total?: number;
  readonly unit: 'bytes' | 'files' | 'none';
  readonly startedMs: number;
  readonly timeMs: number;
}

/** One line of a step's output. `sinceMs` counts from the step's start. */
export interface OutputLine {
  readonly text: string;
  readonly sinceMs: number;
}

/** What became of one step so far. */
export interface StepState {
  readonly info: StepInfo;
  /** 1-based, in the order in which steps started; absent before. */
  readonly number?: number;
  readonly phase: 'waiting' | 'running' | 'cached' | 'done' | 'failed' | 'canceled';
  readonly startedMs?: number;
  readonly endedMs?: number;
  readonly error?: unknown;
  /** By id, in order of appearance. */
  readonly statuses: ReadonlyMap<string, StatusState>;
  /** The last lines, complete ones only, uncleaned. */
  readonly lines: readonly OutputLine[];
  /** The unfinished last line, empty if there is none. */
  readonly pending: string;
}

/** What one event changed: the step as it is now, and the lines of output that it completed. */
export interface ProgressChange {
  readonly step?: StepState;
  readonly lines: readonly OutputLine[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type MutableStep = Writable<Omit<StepState, 'pending'>> & {
  readonly pending: string;
  readonly statuses: Map<string, StatusState>;
  readonly lines: OutputLine[];
  readonly splitters: { readonly stdout: LineSplitter; readonly stderr: LineSplitter };
};

/** All that a build's events say, folded. Renderers share it, so that they agree on numbers, times and lines. */
export class ProgressState {
  readonly #steps = new Map<string, MutableStep>();
  readonly #warnings: Diagnostic[] = [];
  #numbers = 0;

  /** In the order in which they were planned. */
  get steps(): Iterable<StepState> {
    return this.#steps.values();
  }

  /** How many steps are known. */
  get total(): number {
    return this.#steps.size;
  }

  get warnings(): readonly Diagnostic[] {
    return this.#warnings;
  }

  /** The step of that id, where one is known. */
  lookup(id: string): StepState | undefined {
    return this.#steps.get(id);
  }

  /** Takes one event in. A step that is canceled before it started keeps no number. A step that was never planned appears under its id. */
  apply(event: ProgressEvent): ProgressChange {
    switch (event.type) {
      case 'planned':
        for (const info of event.steps) this.#plan(info);
        return { lines: [] };
      case 'warning':
        this.#warnings.push(event.diagnostic);
        return { lines: [] };
      case 'started':
      case 'status':
      case 'output':
        return this.#advance(event);
      case 'completed':
      case 'failed':
      case 'canceled':
        return this.#finish(event);
    }
  }

  #advance(event: Extract<ProgressEvent, { type: 'started' | 'status' | 'output' }>): ProgressChange {
    const step = this.#start(event.step, event.timeMs);
    if (event.type === 'started' && step.phase === 'cached') restart(step, event.timeMs);
    if (event.type === 'output') {
      const lines = this.#keep(step, step.splitters[event.stream].push(event.chunk), event.timeMs);
      return { step, lines };
    }
    if (event.type === 'status') step.statuses.set(event.id, statusOf(event, step.statuses.get(event.id)));
    return { step, lines: [] };
  }

  #finish(event: Extract<ProgressEvent, { type: 'completed' | 'failed' | 'canceled' }>): ProgressChange {
    const known = this.#steps.get(event.step);
    if (event.type === 'canceled' && known !== undefined && known.number === undefined) {
      known.phase = 'canceled';
      return { lines: [] };
    }
    const step = this.#start(event.step, event.timeMs);
    const rest = [...step.splitters.stdout.end(), ...step.splitters.stderr.end()];
    step.endedMs = event.timeMs;
    if (event.type === 'completed') step.phase = event.cached === 'yes' ? 'cached' : 'done';
    else step.phase = event.type;
    if (event.type === 'failed') step.error = event.error;
    return { step, lines: this.#keep(step, rest, event.timeMs) };
  }

  #plan(info: StepInfo): MutableStep {
    const known = this.#steps.get(info.id);
    if (known !== undefined) {
      known.info = info;
      return known;
    }
    const splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
    const step: MutableStep = {
      info,
      phase: 'waiting',
      statuses: new Map(),
      lines: [],
      splitters,
      get pending() {
        return splitters.stdout.pending || splitters.stderr.pending;
      },
    };
    this.#steps.set(info.id, step);
    return step;
  }

  #start(id: string, timeMs: number): MutableStep {
    const step = this.#steps.get(id) ?? this.#plan({ id, name: id, inputs: [] });
    if (step.number === undefined) {
      step.number = ++this.#numbers;
      step.startedMs = timeMs;
      step.phase = 'running';
    }
    return step;
  }

  #keep(step: MutableStep, texts: readonly string[], timeMs: number): readonly OutputLine[] {
    const lines = texts.map((text) => ({ text, sinceMs: timeMs - (step.startedMs ?? timeMs) }));
    step.lines.push(...lines.slice(-KEPT_LINES));
    step.lines.splice(0, Math.max(0, step.lines.length - KEPT_LINES));
    return lines;
  }
}

/** A result that counted as cached turned out to be lost: the step runs after all. */
function restart(step: MutableStep, timeMs: number): void {
  step.phase = 'running';
  step.startedMs = timeMs;
  delete step.endedMs;
}

function statusOf(event: Extract<ProgressEvent, { type: 'status' }>, before: StatusState | undefined): StatusState {
  return {
    id: event.id,
    current: event.current,
    ...(event.total === undefined ? {} : { total: event.total }),
    unit: event.unit ?? 'bytes',
    startedMs: before?.startedMs ?? event.timeMs,
    timeMs: event.timeMs,
  };
}
