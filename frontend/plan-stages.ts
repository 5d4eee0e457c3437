import type { Diagnostic } from '../src/core/diagnostic.ts';
import { parsePlatform, type Platform } from '../src/oci/platform.ts';
import { parseReference } from '../src/oci/reference.ts';
import type { Dockerfile, Stage } from './ast.ts';
import { expand, type ExpandOptions, type Expansion } from './expand.ts';
import { Flaw } from './flaw.ts';
import { globalScope, type GlobalScope } from './global-scope.ts';
import { lintFromPlatform, lintUndeclared } from './lint/from-rules.ts';
import type { LintReporter } from './lint/reporter.ts';
import { MESSAGES } from './lint/rules.ts';
import type { LowerRequest } from './lower-request.ts';
import type { PersistentMap } from './persistent.ts';
import { diagnosticOf } from './read-instructions.ts';
import { Names, type StagePlan } from './stages.ts';
import { rangeOf } from './syntax/ranges.ts';

/** All FROM lines understood. */
export interface StagesPlan {
  readonly names: Names;
  readonly globals: PersistentMap<string>;
  readonly plans: readonly StagePlan[];
  readonly diagnostics: readonly Diagnostic[];
}

/** What planning works with. */
interface Planning {
  readonly dockerfile: Dockerfile;
  readonly request: LowerRequest;
  readonly options: ExpandOptions;
  readonly reporter: LintReporter;
}

/** Replaces the variables of all FROM lines and finds out what each stage begins on. */
export function planStages(planning: Planning): StagesPlan {
  const { dockerfile, request, options } = planning;
  const diagnostics: Diagnostic[] = [];
  const scope = globalScope(dockerfile, request, {
    options,
    buildArgs: request.buildArgs,
    failed: ({ instruction }, error) => {
      if (!(error instanceof Flaw)) throw error;
      diagnostics.push(diagnosticOf(error, rangeOf(error.place, instruction.line, dockerfile.escape)));
    },
  });
  lintDefaults(planning);
  const names = new Names(dockerfile.stages, request);
  const single = dockerfile.stages.length === 1 && !drawsOutside(dockerfile);
  const plans = dockerfile.stages.flatMap((stage) => {
    try {
      return [
        planStage(stage, { ...planning, scope, names, label: single ? '' : (stage.name ?? `stage-${stage.index}`) }),
      ];
    } catch (error) {
      if (!(error instanceof Flaw)) throw error;
      diagnostics.push(diagnosticOf(error, rangeOf(error.place, stage.from.line, dockerfile.escape)));
      return [];
    }
  });
  return { names, globals: scope.variables, plans, diagnostics };
}

function planStage(
  stage: Stage,
  o: Planning & { readonly scope: GlobalScope; readonly names: Names; readonly label: string },
): StagePlan {
  const { from, node, index } = stage;
  const { scope, names, label } = o;
  const lookup = (name: string): string | undefined => scope.variables.lookup(name);
  const base = expand(node.base, lookup, o.options);
  lintUndeclared(base, { ...o, stage });
  if (base.text === '')
    throw new Flaw('BlankBase', `base name (${node.base}) should not be blank`, {
      place: { kind: 'argument', index: 0 },
      help: blankHelp(base),
    });
  const platform = node.platform === undefined ? undefined : stagePlatform(node.platform, stage, o);
  const { range } = from.line;
  const replaced = stage.name === undefined ? undefined : names.replacement(stage.name, { platform, range });
  if (replaced !== undefined) return { stage, label, base: replaced, platform, origin: 'context', instructions: [] };
  return {
    stage,
    label,
    base: names.base(base.text, { index, platform, range }),
    platform,
    origin: 'file',
    instructions: stage.instructions,
  };
}

function stagePlatform(text: string, stage: Stage, o: Planning & { readonly scope: GlobalScope }): Platform {
  const place = { kind: 'flag', name: 'platform' } as const;
  const expansion = expand(text, (name) => o.scope.variables.lookup(name), o.options);
  lintUndeclared(expansion, { ...o, stage });
  lintFromPlatform(expansion, { ...o, stage, written: text });
  if (expansion.text === '')
    throw new Flaw('BlankPlatform', `empty platform value from expression ${text}`, {
      place,
      help: blankHelp(expansion),
    });
  const platform = parsePlatform(expansion.text);
  if (platform === undefined)
    throw new Flaw('InvalidPlatform', `failed to parse platform ${expansion.text}`, {
      place,
      help: 'write it as linux/amd64 or linux/arm64',
    });
  return platform;
}

function blankHelp({ unmatched }: Expansion): string | undefined {
  const [name] = unmatched;
  return name === undefined ? undefined : `declare it above the first FROM: ARG ${name}=VALUE`;
}

/** Whether some instruction takes from what is no stage: BuildKit then shows the only stage's name as well. */
function drawsOutside({ stages }: Dockerfile): boolean {
  return stages.some((stage) =>
    stage.instructions.some(({ command }) =>
      command.draws.some(({ from, numbers }) => numbers === 'names' || !/^\d+$/.test(from)),
    ),
  );
}

/** InvalidDefaultArgInFrom: whether bases are valid names without any --build-arg. */
function lintDefaults({ dockerfile, request, options, reporter }: Planning): void {
  const failed: unknown[] = [];
  const { variables } = globalScope(dockerfile, request, {
    options,
    buildArgs: new Map(),
    failed: (arg) => failed.push(arg),
  });
  if (failed.length > 0) return;
  for (const { from, node } of dockerfile.stages) {
    const text = expandOrUndefined(node.base, { variables, options });
    if (text === undefined) return;
    if (parseReference(text) !== undefined) continue;
    reporter.report({
      rule: 'InvalidDefaultArgInFrom',
      message: MESSAGES.InvalidDefaultArgInFrom(node.base),
      instruction: from,
      place: { kind: 'argument', index: 0 },
      help: 'give the ARG a default that is an image name',
    });
  }
}

function expandOrUndefined(
  text: string,
  o: { readonly variables: PersistentMap<string>; readonly options: ExpandOptions },
): string | undefined {
  try {
    return expand(text, (name) => o.variables.lookup(name), o.options).text;
  } catch (error) {
    if (error instanceof Flaw) return undefined;
    throw error;
  }
}
