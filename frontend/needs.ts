import type { Diagnostic } from '../src/core/diagnostic.ts';
import type { Dockerfile } from './ast.ts';
import type { Draw, Instruction } from './instruction.ts';
import { Flaw } from './flaw.ts';
import { compareDiagnostics } from './lint/reporter.ts';
import type { ImageRequest, LowerRequest } from './lower-request.ts';
import type { StagesPlan } from './plan-stages.ts';
import { diagnosticOf } from './read-instructions.ts';
import type { Origin, StagePlan } from './stages.ts';
import { rangeOf } from './syntax/ranges.ts';
import { parseTriggers, triggersOf } from './triggers.ts';

/** A stage that the build needs, with what its base's ONBUILD adds. */
export interface NeededStage {
  readonly plan: StagePlan;
  readonly triggers: readonly Instruction[];
}

/** What a build needs. */
export interface Needs {
  readonly target: number;
  /** In the order of the file, so that what a stage takes from comes before it. */
  readonly stages: readonly NeededStage[];
  /** Images that are not known yet; while there are any, triggers may be missing. */
  readonly requests: readonly ImageRequest[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Follows bases, COPY --from, RUN --mount=from and ONBUILD from the target on. @throws Flaw for an unknown target */
export function findNeeds(
  dockerfile: Dockerfile,
  o: { readonly plan: StagesPlan; readonly request: LowerRequest },
): Needs {
  const search = new Search(dockerfile, o.plan, o.request);
  const target = o.plan.names.target();
  search.visit(target);
  if (o.request.extent === 'all') for (const { stage } of o.plan.plans) search.visit(stage.index);
  search.checkRest();
  return { target, ...search.result() };
}

class Search {
  readonly #dockerfile: Dockerfile;
  readonly #plan: StagesPlan;
  readonly #request: LowerRequest;
  readonly #found = new Map<number, NeededStage>();
  readonly #missing = new Map<string, ImageRequest>();
  readonly #diagnostics: Diagnostic[] = [];

  constructor(dockerfile: Dockerfile, plan: StagesPlan, request: LowerRequest) {
    this.#dockerfile = dockerfile;
    this.#plan = plan;
    this.#request = request;
  }

  result(): Omit<Needs, 'target'> {
    const stages = [...this.#found].toSorted(([a], [b]) => a - b).map(([, stage]) => stage);
    const requests = [...this.#missing.values()].toSorted(compareDiagnostics);
    return { stages, requests, diagnostics: this.#diagnostics };
  }

  /** Adds stage `start` and all that it needs. A list of what is to come instead of recursion: chains of stages may be long. */
  visit(start: number): void {
    const pending = [start];
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      const plan = this.#plan.plans[index];
      if (plan === undefined || this.#found.has(index)) continue;
      const triggers = this.#triggers(plan);
      this.#found.set(index, { plan, triggers });
      pending.push(...this.#follow(plan.base));
      for (const instruction of [...triggers, ...plan.instructions]) pending.push(...this.#draws(instruction, plan));
    }
  }

  /** What nothing needs is not built, but as in BuildKit it may not draw from what cannot be: no image name, no number of a stage, itself. */
  checkRest(): void {
    const { plans, names } = this.#plan;
    for (const plan of plans.filter(({ stage }) => !this.#found.has(stage.index))) {
      for (const instruction of plan.instructions) {
        for (const draw of instruction.command.draws) {
          const error = this.#flawOf(draw, instruction, plan);
          const isLater = error?.code === 'StageNotDefined' && !names.isCircular(draw, plan.stage.index);
          if (error !== undefined && !isLater) this.#report(error, instruction);
        }
      }
    }
  }

  #triggers(plan: StagePlan): readonly Instruction[] {
    const { instructions, diagnostics } = parseTriggers(this.#triggerTexts(plan), plan.stage);
    this.#diagnostics.push(...diagnostics);
    return instructions;
  }

  #triggerTexts({ base, origin }: StagePlan): readonly string[] {
    if (origin === 'context') return [];
    if (base.kind === 'image') return this.#request.images.get(base.request.key)?.config.config.OnBuild ?? [];
    const parent = base.kind === 'stage' ? this.#plan.plans[base.index] : undefined;
    return parent === undefined || parent.origin === 'context' ? [] : triggersOf(parent.stage);
  }

  #draws(instruction: Instruction, plan: StagePlan): readonly number[] {
    return instruction.command.draws.flatMap((draw) => {
      try {
        return this.#follow(this.#origin(draw, instruction, plan));
      } catch (error) {
        if (!(error instanceof Flaw)) throw error;
        this.#report(error, instruction);
        return [];
      }
    });
  }

  #flawOf(draw: Draw, instruction: Instruction, plan: StagePlan): Flaw | undefined {
    try {
      this.#origin(draw, instruction, plan);
      return undefined;
    } catch (error) {
      if (error instanceof Flaw) return error;
      throw error;
    }
  }

  #origin(draw: Draw, { line }: Instruction, { stage }: StagePlan): Origin {
    return this.#plan.names.drawn(draw, { index: stage.index, range: line.range });
  }

  #report(flaw: Flaw, { line }: Instruction): void {
    this.#diagnostics.push(diagnosticOf(flaw, rangeOf(flaw.place, line, this.#dockerfile.escape)));
  }

  #follow(origin: Origin): readonly number[] {
    if (origin.kind === 'stage') return [origin.index];
    if (origin.kind === 'image' && !this.#request.images.has(origin.request.key))
      this.#missing.set(origin.request.key, origin.request);
    return [];
  }
}
