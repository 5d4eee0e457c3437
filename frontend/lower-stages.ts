import type { Diagnostic } from '../src/core/diagnostic.ts';
import type { VertexId } from '../src/core/graph.ts';
import { baseState, originVertex } from './base-state.ts';
import { proxyEnv } from './build-args.ts';
import { Flaw } from './flaw.ts';
import type { Instruction, LowerContext, StageFrame, StageState } from './instruction.ts';
import type { LowerRequest } from './lower-request.ts';
import type { Lowering } from './lowering.ts';
import type { NeededStage } from './needs.ts';
import { diagnosticOf } from './read-instructions.ts';
import { contextVertex } from './source-vertices.ts';
import type { StagePlan } from './stages.ts';
import { rangeOf } from './syntax/ranges.ts';

/** The stages by their number; one that failed, or stands on one that did, is missing. */
export interface LoweredStages {
  readonly states: ReadonlyMap<number, StageState>;
  readonly diagnostics: readonly Diagnostic[];
}

/** Lowers stages in order; each must come after those that it takes from. A stage ends at its first flaw. */
export function lowerStages(stages: readonly NeededStage[], lowering: Lowering): LoweredStages {
  const states = new Map<number, StageState>();
  const diagnostics: Diagnostic[] = [];
  for (const stage of stages) {
    const result = new StageLowering(stage, lowering, states).run();
    if (result.kind === 'done') states.set(stage.plan.stage.index, result.state);
    else if (result.diagnostic !== undefined) diagnostics.push(result.diagnostic);
  }
  return { states, diagnostics };
}

type StageResult =
  | { readonly kind: 'done'; readonly state: StageState }
  | { readonly kind: 'failed'; readonly diagnostic: Diagnostic | undefined };

/** Thrown where a stage needs one that failed: what is to be said has been said there. */
class DependencyFailed extends Error {}

class StageLowering {
  readonly #needed: NeededStage;
  readonly #plan: StagePlan;
  readonly #lowering: Lowering;
  readonly #states: ReadonlyMap<number, StageState>;
  readonly #frame: StageFrame;
  readonly #proxyEnv: readonly string[];

  constructor(needed: NeededStage, lowering: Lowering, states: ReadonlyMap<number, StageState>) {
    this.#needed = needed;
    this.#plan = needed.plan;
    this.#lowering = lowering;
    this.#states = states;
    this.#frame = frameOf(needed, lowering.request);
    this.#proxyEnv = proxyEnv(lowering.request.buildArgs);
  }

  run(): StageResult {
    const { stage, instructions } = this.#plan;
    let current: Instruction = stage.from;
    try {
      let state = this.#base();
      for (const instruction of this.#needed.triggers) {
        current = instruction;
        state = instruction.command.lower(state, this.#context(instruction, 'trigger'));
      }
      for (const instruction of instructions) {
        current = instruction;
        state = instruction.command.lower(state, this.#context(instruction, 'file'));
      }
      return { kind: 'done', state };
    } catch (error) {
      if (error instanceof DependencyFailed) return { kind: 'failed', diagnostic: undefined };
      if (!(error instanceof Flaw)) throw error;
      return {
        kind: 'failed',
        diagnostic: diagnosticOf(error, rangeOf(error.place, current.line, this.#lowering.escape)),
      };
    }
  }

  #base(): StageState {
    const { base } = this.#plan;
    const parent = base.kind === 'stage' ? this.#state(base.index) : undefined;
    return baseState(this.#plan, { lowering: this.#lowering, frame: this.#frame, parent });
  }

  #state(index: number): StageState {
    const state = this.#states.get(index);
    if (state === undefined) throw new DependencyFailed();
    return state;
  }

  #context(instruction: Instruction, origin: 'file' | 'trigger'): LowerContext {
    const { request, globals, escape, graph, fuel, epochSeconds, reporter } = this.#lowering;
    return {
      request,
      escape: origin === 'file' ? escape : '\\',
      globals,
      graph,
      stage: this.#frame,
      instruction,
      origin,
      fuel,
      proxyEnv: this.#proxyEnv,
      epochSeconds,
      mainContext: () => this.#mainContext(),
      tree: (draw) => {
        const found = this.#lowering.names.drawn(draw, {
          index: this.#plan.stage.index,
          range: instruction.line.range,
        });
        return originVertex(found, { lowering: this.#lowering, rootOf: (index) => this.#state(index).root });
      },
      nearest: (name, candidates) => reporter.nearest(name, candidates),
      warn: (rule, message, o) =>
        reporter.report({
          rule,
          message,
          instruction,
          ...(origin === 'trigger' && { place: { kind: 'instruction' } }),
          ...o,
        }),
    };
  }

  #mainContext(): VertexId {
    return contextVertex('context', {
      graph: this.#lowering.graph,
      meta: { name: '[internal] load build context' },
    });
  }
}

function frameOf({ plan, triggers }: NeededStage, request: LowerRequest): StageFrame {
  const { stage, label, base, instructions } = plan;
  const own = instructions.filter(({ command }) => command.step === 'yes').length;
  const first = base.kind === 'image' || base.kind === 'context' ? 1 : 0;
  const { noCache } = request;
  const ignored = noCache === 'all' || noCache.some((name) => name.toLowerCase() === stage.name);
  return {
    label,
    id: stage.name ?? String(stage.index),
    steps: first + triggers.length + own,
    cache: ignored ? 'ignore' : 'use',
  };
}
