import type { SourceRange } from '../src/core/diagnostic.ts';
import type { Dockerfile, Stage } from './ast.ts';
import type { Instruction } from './instruction.ts';
import { expand, newFuel, type ExpandOptions } from './expand.ts';
import { Flaw } from './flaw.ts';
import { globalScope } from './global-scope.ts';
import { argNodeOf, type ArgDeclaration } from './instructions/arg.ts';
import { runNodeOf } from './instructions/run.ts';
import type { LowerRequest } from './lower-request.ts';
import type { PersistentMap } from './persistent.ts';
import { cacheId, DEFAULT_SHARING, secretId } from './run-mounts.ts';
import { Names } from './stages.ts';
import type { EscapeCharacter } from './syntax/elements.ts';
import { parseMount, type MountSpec } from './syntax/run-mount.ts';

/** A stage that can be built. */
export interface Target {
  readonly name?: string;
  readonly description?: string;
  /** The base as written. */
  readonly base: string;
  readonly platform?: string;
  readonly default: 'yes' | 'no';
  readonly range: SourceRange;
}

/** An argument that a build can be given. */
export interface OutlineArg {
  readonly name: string;
  readonly value?: string;
  readonly description?: string;
  readonly range: SourceRange;
}

/** A secret or agent that a build can be given. */
export interface OutlineSecret {
  readonly id: string;
  readonly presence: 'required' | 'optional';
  readonly range: SourceRange;
}

/** A cache that outlives the build. */
export interface OutlineCache {
  readonly id: string;
  readonly target: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  readonly range: SourceRange;
}

/** What can be given to the build of one target, and what it shares with other builds. */
export interface Outline {
  readonly target: Target;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineSecret[];
  readonly ssh: readonly OutlineSecret[];
  readonly caches: readonly OutlineCache[];
}

/** All stages, in the order of the file. */
export function targets(dockerfile: Dockerfile): readonly Target[] {
  return dockerfile.stages.map((stage) => targetOf(stage, dockerfile));
}

/** The arguments, secrets, agents and cache mounts of the request's target and of the stages that it needs; `undefined` without such a target. */
export function outline(dockerfile: Dockerfile, request: LowerRequest): Outline | undefined {
  const names = new Names(dockerfile.stages, request);
  const { target: name = '' } = request;
  const index = name === '' ? dockerfile.stages.length - 1 : names.lookupTarget(name);
  const target = index === undefined ? undefined : dockerfile.stages[index];
  if (target === undefined) return undefined;
  const needed = neededStages(dockerfile, { names, target: target.index });
  const args = argsOf(dockerfile, needed, request);
  const mounts = mountsOf(needed, { args, escape: dockerfile.escape });
  return {
    target: targetOf(target, dockerfile),
    args,
    secrets: unique(
      mounts.filter(({ spec }) => spec.type === 'secret'),
      secretId,
    ),
    ssh: unique(
      mounts.filter(({ spec }) => spec.type === 'ssh'),
      ({ id }) => id ?? 'default',
    ),
    caches: cachesOf(mounts, request),
  };
}

interface OutlineScope {
  readonly request: LowerRequest;
  readonly variables: PersistentMap<string>;
  readonly options: ExpandOptions;
}

interface FoundMount {
  readonly spec: MountSpec;
  readonly range: SourceRange;
}

function targetOf({ name, description, node, from, index }: Stage, { stages }: Dockerfile): Target {
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    base: node.base,
    ...(node.platform !== undefined && { platform: node.platform }),
    default: index === stages.length - 1 ? 'yes' : 'no',
    range: from.range,
  };
}

/** Bases are followed as written: a name with a variable in it hardly ever means a stage. */
function neededStages(
  { stages }: Dockerfile,
  { names, target }: { readonly names: Names; readonly target: number },
): readonly Stage[] {
  const found = new Set<number>();
  const pending = [target];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    const stage = stages[index];
    if (stage === undefined || found.has(index)) continue;
    found.add(index);
    pending.push(...names.baseStage(stage.node.base, index));
    for (const { command } of stage.instructions)
      for (const draw of command.draws) pending.push(...names.stageDrawn(draw, index));
  }
  return stages.filter(({ index }) => found.has(index));
}

function argsOf(dockerfile: Dockerfile, needed: readonly Stage[], request: LowerRequest): readonly OutlineArg[] {
  const options: ExpandOptions = { escape: dockerfile.escape, fuel: newFuel() };
  const { variables } = globalScope(dockerfile, request, { options, buildArgs: request.buildArgs, failed: () => {} });
  const used = needed.map(({ node }) => `${node.base} ${node.platform ?? ''}`).join(' ');
  const declaredBelow = new Set(
    needed
      .flatMap((stage) => stage.instructions.flatMap((instruction) => argNodeOf(instruction)?.args ?? []))
      .map(({ name }) => name),
  );
  const global = dockerfile.globalArgs.flatMap(({ instruction, node }) =>
    node.args
      .filter(({ name }) => used.includes(`$${name}`) || used.includes(`\${${name}`) || declaredBelow.has(name))
      .map((arg) => ({ arg, instruction })),
  );
  const own = needed.flatMap((stage) =>
    stage.instructions.flatMap((instruction) =>
      (argNodeOf(instruction)?.args ?? []).map((arg) => ({ arg, instruction })),
    ),
  );
  const args = new Map<string, OutlineArg>();
  for (const found of [...global, ...own]) {
    const outlined = outlineArg(found, { request, variables, options });
    args.set(outlined.name, { ...outlined, ...args.get(outlined.name) });
  }
  return [...args.values()];
}

function outlineArg(
  { arg, instruction }: { readonly arg: ArgDeclaration; readonly instruction: Instruction },
  o: OutlineScope,
): OutlineArg {
  const value = o.request.buildArgs.get(arg.name) ?? defaultOf(arg, o) ?? o.variables.lookup(arg.name);
  return {
    name: arg.name,
    ...(value !== undefined && { value }),
    ...(arg.description !== undefined && { description: arg.description }),
    range: instruction.range,
  };
}

function defaultOf({ defaultValue }: ArgDeclaration, { variables, options }: OutlineScope): string | undefined {
  if (defaultValue === undefined) return undefined;
  try {
    return expand(defaultValue, (name) => variables.lookup(name), options).text;
  } catch (error) {
    if (error instanceof Flaw) return defaultValue;
    throw error;
  }
}

/** Variables are replaced where an argument says what they are, and stay as written where only an image's ENV could. */
function mountsOf(
  stages: readonly Stage[],
  o: { readonly args: readonly OutlineArg[]; readonly escape: EscapeCharacter },
): readonly FoundMount[] {
  const values = new Map(o.args.map(({ name, value }) => [name, value]));
  const options: ExpandOptions = { escape: o.escape, unset: 'keep', words: 'skip', fuel: newFuel() };
  const replaced = (text: string): string => expand(text, (name) => values.get(name), options).text;
  return stages.flatMap(({ instructions }) =>
    instructions.flatMap((instruction) =>
      (runNodeOf(instruction)?.mounts ?? []).flatMap((text) => {
        try {
          return [{ spec: parseMount(text, replaced), range: instruction.range }];
        } catch (error) {
          if (error instanceof Flaw) return [];
          throw error;
        }
      }),
    ),
  );
}

/** Each cache once, as it is first mounted. */
function cachesOf(mounts: readonly FoundMount[], request: LowerRequest): readonly OutlineCache[] {
  const found = new Map<string, OutlineCache>();
  for (const { spec, range } of mounts) {
    const id = cacheId(spec, request);
    if (spec.type !== 'cache' || found.has(id)) continue;
    const { target = '', sharing = DEFAULT_SHARING } = spec;
    found.set(id, { id, target, sharing, range });
  }
  return [...found.values()];
}

function unique(mounts: readonly FoundMount[], idOf: (spec: MountSpec) => string): readonly OutlineSecret[] {
  const found = new Map<string, OutlineSecret>();
  for (const { spec, range } of mounts) {
    const id = idOf(spec);
    const before = found.get(id);
    const presence = before?.presence === 'required' ? 'required' : spec.presence;
    found.set(id, { id, range: before?.range ?? range, presence });
  }
  return [...found.values()];
}
