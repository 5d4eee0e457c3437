import type { StepName } from '../src/core/explanation.ts';

/**
 * For each step its counterpart in an earlier build, each of those at most once: the same text in the same stage, the nearest where
 * there are several; else the nearest instruction of the same kind in that stage; else the same text in a stage of another name.
 */
export function matchSteps<S extends StepName>(
  steps: readonly StepName[],
  earlier: readonly S[],
): readonly (S | undefined)[] {
  const found = new Map<StepName, S>();
  const free = new Set(earlier);
  const rules: readonly ((a: StepName, b: StepName) => boolean)[] = [
    (a, b) => a.stage === b.stage && a.text === b.text,
    (a, b) => a.stage === b.stage && keywordOf(a) === keywordOf(b),
    (a, b) => a.text === b.text,
  ];
  for (const fits of rules) {
    for (const step of steps) {
      if (found.has(step)) continue;
      const nearest = [...free]
        .filter((candidate) => fits(step, candidate))
        .toSorted((a, b) => Math.abs(a.position - step.position) - Math.abs(b.position - step.position))[0];
      if (nearest === undefined) continue;
      found.set(step, nearest);
      free.delete(nearest);
    }
  }
  return steps.map((step) => found.get(step));
}

function keywordOf({ text }: StepName): string {
  return text.split(' ', 1)[0] ?? '';
}
