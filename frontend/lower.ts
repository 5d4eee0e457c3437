import type { Diagnostic } from '../src/core/diagnostic.ts';
import { GraphBuilder, reachable } from '../src/core/graph.ts';
import type { Dockerfile } from './ast.ts';
import { unusedBuildArgs, declaredArgs } from './build-args.ts';
import { newFuel } from './expand.ts';
import { Flaw } from './flaw.ts';
import { checkOptions } from './lint/check-outcome.ts';
import { lintOwn } from './lint/own-rules.ts';
import { compareDiagnostics, LintReporter } from './lint/reporter.ts';
import { MESSAGES } from './lint/rules.ts';
import { lintSyntax } from './lint/syntax-rules.ts';
import { lowerStages } from './lower-stages.ts';
import type { LowerRequest, LowerResult } from './lower-request.ts';
import { findNeeds } from './needs.ts';
import { planStages } from './plan-stages.ts';
import { diagnosticOf } from './read-instructions.ts';
import { sourceDateEpoch } from './source-date-epoch.ts';
import { draftOf } from './stage-state.ts';
import { classifyFrontend } from './syntax/frontend-reference.ts';

/**
 * Draws the graph of a build for one platform. Pure: what it does not know (the configs of base images) it asks for, and the
 * caller calls again. `dockerfile` must have come out of parsing without errors.
 */
export function lower(dockerfile: Dockerfile, request: LowerRequest): LowerResult {
  try {
    const reporter = newReporter(dockerfile, request);
    return lowerWith(dockerfile, request, reporter);
  } catch (error) {
    if (!(error instanceof Flaw)) throw error;
    const directive =
      error.code === 'InvalidCheck' ? dockerfile.directives.find(({ name }) => name === 'check') : undefined;
    return { kind: 'invalid', diagnostics: [diagnosticOf(error, directive?.range)] };
  }
}

function lowerWith(dockerfile: Dockerfile, request: LowerRequest, reporter: LintReporter): LowerResult {
  const fuel = newFuel();
  const { escape } = dockerfile;
  const plan = planStages({ dockerfile, request, options: { escape, fuel, compat: request.compat }, reporter });
  if (plan.diagnostics.length > 0) return invalid(plan.diagnostics, reporter);
  const needs = findNeeds(dockerfile, { plan, request });
  if (needs.diagnostics.length > 0) return invalid(needs.diagnostics, reporter);
  if (needs.requests.length > 0) return { kind: 'needs-images', requests: needs.requests };
  lintFile(dockerfile, { request, reporter });
  const graph = new GraphBuilder();
  const epoch = sourceDateEpoch(dockerfile, { request, globals: plan.globals });
  if (epoch.diagnostics.length > 0) return invalid(epoch.diagnostics, reporter);
  const epochSeconds = epoch.seconds;
  const lowered = lowerStages(needs.stages, {
    request: epoch.request,
    globals: epoch.globals,
    names: plan.names,
    escape,
    fuel,
    graph,
    epochSeconds,
    reporter,
  });
  if (lowered.diagnostics.length > 0) return invalid(lowered.diagnostics, reporter);
  const state = lowered.states.get(needs.target);
  if (state === undefined) throw new Flaw('StageNotFound', 'the target stage was not lowered');
  const platform = request.platformAsked === 'yes' ? request.platform : state.imagePlatform;
  return {
    kind: 'complete',
    graph: state.root === undefined ? new Map() : reachable(graph.build(), state.root),
    target: state.root,
    draft: draftOf(state, { labels: request.labels, platform }),
    bases: state.bases,
    diagnostics: reporter.diagnostics,
    ...(epochSeconds !== undefined && { epochSeconds }),
  };
}

function newReporter(dockerfile: Dockerfile, request: LowerRequest): LintReporter {
  return new LintReporter(dockerfile.escape, {
    ...checkOptions(dockerfile, request.buildArgs),
    ownRules: request.ownRules ?? 'off',
    notices: request.compat === 'buildkit' ? 'off' : 'on',
  });
}

function invalid(errors: readonly Diagnostic[], reporter: LintReporter): LowerResult {
  return { kind: 'invalid', diagnostics: [...errors.toSorted(compareDiagnostics), ...reporter.diagnostics] };
}

/** What can be said of the whole file. */
function lintFile(
  dockerfile: Dockerfile,
  o: { readonly request: LowerRequest; readonly reporter: LintReporter },
): void {
  for (const finding of lintSyntax(dockerfile)) o.reporter.report(finding);
  for (const finding of lintOwn(dockerfile)) o.reporter.report(finding);
  const declared = declaredArgs(dockerfile);
  for (const name of unusedBuildArgs(dockerfile, o.request.buildArgs)) {
    const near = o.reporter.nearest(name, declared);
    o.reporter.report({
      rule: 'UnusedBuildArg',
      message: MESSAGES.UnusedBuildArg(name, near),
      help: near === undefined ? 'declare it with ARG, or leave it out' : `did you mean ${near}?`,
    });
  }
  const syntax = dockerfile.directives.find(({ name }) => name === 'syntax');
  const frontend = syntax === undefined ? undefined : classifyFrontend(syntax.value);
  if (syntax !== undefined && frontend?.kind === 'newer') {
    o.reporter.report({ rule: 'NewerSyntax', message: MESSAGES.NewerSyntax(frontend.version), range: syntax.range });
  }
}
