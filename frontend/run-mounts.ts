import type { ExecMount, SecretEnv, VertexId } from '../src/core/graph.ts';
import { Flaw } from './flaw.ts';
import type { Draw, LowerContext, StageState } from './instruction.ts';
import type { LowerRequest } from './lower-request.ts';
import { baseName, cleanPath, joinPath, rootedPath } from './paths.ts';
import { expandWord } from './stage-expand.ts';
import { workingDirectory } from './stage-state.ts';
import { mountDraw, parseMount, type MountSpec } from './syntax/run-mount.ts';

/** The mounts of one RUN, ready for its op. */
export interface RunMounts {
  readonly mounts: readonly ExecMount[];
  readonly secretEnv: readonly SecretEnv[];
}

const PLACE = { kind: 'flag', name: 'mount' } as const;
/** Of cache mounts. */
export const DEFAULT_SHARING = 'shared';

/** The trees that mounts take files from, the main context left out; a cache without one starts from nothing. @throws Flaw */
export function mountDraws(texts: readonly string[]): readonly Draw[] {
  return texts.flatMap((text) => {
    const { type, from } = mountDraw(text);
    if (from === '') return type === 'cache' ? [drawOf('scratch')] : [];
    return ['tmpfs', 'secret', 'ssh'].includes(type) ? [] : [drawOf(from)];
  });
}

/** The mounts that `texts` spell. `input` numbers a tree among the op's inputs. Of two on one target the later counts. @throws Flaw */
export function lowerMounts(
  texts: readonly string[],
  state: StageState,
  o: { readonly context: LowerContext; readonly input: (vertex: VertexId) => number },
): RunMounts {
  const mounts = new Map<string, ExecMount>();
  const secretEnv: SecretEnv[] = [];
  let agents = 0;
  for (const text of texts) {
    const spec = parseMount(text, (value) => expandWord(value, state, o.context));
    if (spec.env !== undefined) secretEnv.push({ name: spec.env, id: secretId(spec), presence: spec.presence });
    if (spec.type === 'secret' && spec.env !== undefined && spec.target === undefined) continue;
    const target = targetOf(spec, { directory: workingDirectory(state), agent: agents });
    if (spec.type === 'ssh') agents++;
    mounts.delete(target);
    mounts.set(target, mountOf(spec, { ...o, target }));
  }
  return { mounts: [...mounts.values()], secretEnv };
}

interface MountContext {
  readonly context: LowerContext;
  readonly input: (vertex: VertexId) => number;
  readonly target: string;
}

function mountOf(spec: MountSpec, o: MountContext): ExecMount {
  const { target } = o;
  switch (spec.type) {
    case 'bind':
      return {
        type: 'bind',
        target,
        input: o.input(treeOf(spec, o)),
        source: rootedPath(spec.source ?? ''),
        writes: spec.access === 'read-only' ? 'refuse' : 'discard',
      };
    case 'cache':
      return cacheMount(spec, o);
    case 'tmpfs':
      return {
        type: 'tmpfs',
        target,
        ...(spec.sizeBytes !== undefined && spec.sizeBytes > 0 && { sizeBytes: spec.sizeBytes }),
      };
    case 'secret':
      return { type: 'secret', target, id: secretId(spec), presence: spec.presence, ...permissions(spec, 0o400) };
    case 'ssh':
      return {
        type: 'ssh',
        target,
        id: spec.id ?? spec.source ?? 'default',
        presence: spec.presence,
        ...permissions(spec, 0o600),
      };
  }
}

/** What a cache mount is known by: its id or, as written, its target, so that a relative one is the same cache whatever WORKDIR is. */
export function cacheId(spec: MountSpec, { buildArgs }: Pick<LowerRequest, 'buildArgs'>): string {
  const namespace = buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '';
  const id = spec.id ?? cleanPath(spec.target ?? '');
  return namespace === '' ? id : `${namespace}/${id}`;
}

function cacheMount(spec: MountSpec, o: MountContext): ExecMount {
  return {
    type: 'cache',
    target: o.target,
    id: cacheId(spec, o.context.request),
    sharing: spec.sharing ?? DEFAULT_SHARING,
    writes: spec.access === 'read-only' ? 'refuse' : 'keep',
    ...(spec.from !== undefined && { input: o.input(treeOf(spec, o)) }),
    source: rootedPath(spec.source ?? ''),
    ...permissions(spec, 0o755),
  };
}

function permissions(spec: MountSpec, mode: number): { mode: number; uid: number; gid: number } {
  return { mode: spec.mode ?? mode, uid: spec.uid ?? 0, gid: spec.gid ?? 0 };
}

function treeOf({ from }: MountSpec, { context }: MountContext): VertexId {
  return from === undefined ? context.mainContext() : context.tree(drawOf(from));
}

function targetOf(spec: MountSpec, o: { readonly directory: string; readonly agent: number }): string {
  const target = spec.target ?? defaultTarget(spec, o.agent);
  const absolute = joinPath(o.directory, target);
  if (absolute === '/')
    throw new Flaw('InvalidMount', 'invalid mount target "/"', { place: PLACE, help: 'write target=/some/path' });
  return absolute;
}

function defaultTarget(spec: MountSpec, agent: number): string {
  if (spec.type === 'secret') return `/run/secrets/${baseName(secretId(spec))}`;
  return spec.type === 'ssh' ? `/run/buildkit/ssh_agent.${agent}` : '';
}

/** The secret that a mount asks for: its id, else the last part of its target. */
export function secretId(spec: MountSpec): string {
  return spec.source ?? spec.id ?? baseName(spec.target ?? '');
}

function drawOf(from: string): Draw {
  return { from, numbers: 'names', place: PLACE };
}
