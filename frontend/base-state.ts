import { invariant } from '../src/core/error.ts';
import type { VertexId, VertexMeta } from '../src/core/graph.ts';
import type { ResolvedImage } from '../src/core/source.ts';
import { formatPlatform, formatPlatformFull, normalizePlatform, type Platform } from '../src/oci/platform.ts';
import type { StageFrame, StageState } from './instruction.ts';
import { MESSAGES } from './lint/rules.ts';
import type { Lowering } from './lowering.ts';
import { rootedPath } from './paths.ts';
import { contextVertex, emptyTree } from './source-vertices.ts';
import { childState, imageState, platformOf, scratchState, withConfig } from './stage-state.ts';
import type { Origin, StagePlan } from './stages.ts';
import { stepName } from './step.ts';

interface BaseContext {
  readonly lowering: Lowering;
  readonly frame: StageFrame;
  /** The stage that this one begins on, if it does. */
  readonly parent: StageState | undefined;
}

/** A stage before its first instruction. */
export function baseState(plan: StagePlan, o: BaseContext): StageState {
  const { base } = plan;
  const { request } = o.lowering;
  switch (base.kind) {
    case 'scratch':
      return scratchState(request.platform);
    case 'stage':
      invariant(o.parent !== undefined, 'a stage is lowered after its base');
      return childState(o.parent);
    case 'image':
      return onImage(plan, base, o);
    case 'context':
      return onContext(plan, base, o);
  }
}

/** The tree of what is no stage, or of stage `index` by way of `rootOf`. */
export function originVertex(
  origin: Origin,
  o: { readonly lowering: Lowering; readonly rootOf: (index: number) => VertexId | undefined },
): VertexId {
  const { graph } = o.lowering;
  switch (origin.kind) {
    case 'stage':
      return o.rootOf(origin.index) ?? emptyTree(graph);
    case 'scratch':
      return emptyTree(graph);
    case 'image': {
      const image = known(origin, o.lowering);
      return imageVertex(image, { lowering: o.lowering, meta: { name: `FROM ${pinned(image)}` } }) ?? emptyTree(graph);
    }
    case 'context':
      return contextVertex(origin.name, { graph, meta: contextMeta(origin) });
  }
}

function onImage(
  plan: StagePlan,
  base: Extract<Origin, { kind: 'image' }>,
  { lowering, frame }: BaseContext,
): StageState {
  const { request, reporter } = lowering;
  const image = known(base, lowering);
  const platform = plan.platform ?? detectPlatform(image, lowering);
  lintPlatform(image, { platform, base, plan, reporter });
  const meta = baseMeta(`FROM ${pinned(image)}`, {
    plan,
    frame,
    ...(request.multiPlatform === 'yes' && { platform: formatPlatform(platform) }),
  });
  const root = imageVertex(image, { lowering, meta });
  const state = {
    ...imageState(image.config, platform),
    root,
    bases: root === undefined ? [] : [image],
    step: root === undefined ? 0 : 1,
  };
  const { WorkingDir } = state.config;
  return WorkingDir === undefined || WorkingDir === ''
    ? state
    : withConfig(state, { WorkingDir: rootedPath(WorkingDir) });
}

function lintPlatform(
  image: ResolvedImage,
  o: {
    readonly platform: Platform;
    readonly base: Extract<Origin, { kind: 'image' }>;
    readonly plan: StagePlan;
    readonly reporter: Lowering['reporter'];
  },
): void {
  const actual = platformOf(image.config);
  if (o.platform.os === actual.os && o.platform.architecture === actual.architecture) return;
  o.reporter.report({
    rule: 'InvalidBaseImagePlatform',
    message: MESSAGES.InvalidBaseImagePlatform({
      image: o.base.name,
      expected: formatPlatformFull(normalizePlatform(o.platform)),
      actual: formatPlatformFull(normalizePlatform(actual)),
    }),
    instruction: o.plan.stage.from,
    place: { kind: 'argument', index: 0 },
  });
}

/** A context's files become a layer of their own; the config is that of an empty image. */
function onContext(
  plan: StagePlan,
  base: Extract<Origin, { kind: 'context' }>,
  { lowering, frame }: BaseContext,
): StageState {
  const { graph, request } = lowering;
  const tree = originVertex(base, { lowering, rootOf: () => undefined });
  const text = `FROM ${base.name}`;
  const root = graph.add(
    {
      kind: 'file',
      base: 'scratch',
      actions: [{ type: 'copy', from: 0, sources: ['/'], dest: '/', exclude: [], parents: 'drop', unpack: 'never' }],
    },
    [tree],
    baseMeta(text, { plan, frame }),
  );
  const state = scratchState(plan.platform ?? request.platform);
  return {
    ...state,
    root,
    step: 1,
    history: state.history.with({ created_by: text, comment: 'buildkit.exporter.image.v0' }),
  };
}

function imageVertex(
  image: ResolvedImage,
  o: { readonly lowering: Lowering; readonly meta: VertexMeta },
): VertexId | undefined {
  if (image.layers.length === 0) return undefined;
  const source = {
    type: 'image',
    reference: image.reference,
    digest: image.manifest.digest,
    platform: platformOf(image.config),
  } as const;
  return o.lowering.graph.add({ kind: 'source', source }, [], o.meta);
}

function baseMeta(
  text: string,
  o: { readonly plan: StagePlan; readonly frame: StageFrame; readonly platform?: string },
): VertexMeta {
  const { from } = o.plan.stage;
  return {
    name: stepName(text, { stage: o.frame, number: 1, ...(o.platform !== undefined && { platform: o.platform }) }),
    location: from.range,
    stage: o.frame.id,
  };
}

function contextMeta({ name }: Extract<Origin, { kind: 'context' }>): VertexMeta {
  return { name: `[context ${name}] load from client` };
}

function known(origin: Extract<Origin, { kind: 'image' }>, { request }: Lowering): ResolvedImage {
  const image = request.images.get(origin.request.key);
  invariant(image !== undefined, `image ${origin.request.key} was resolved before lowering`);
  return image;
}

/** Without a wish, an image for the machine that builds is taken for that machine. */
function detectPlatform(image: ResolvedImage, { request }: Lowering): Platform {
  const { os, architecture } = image.config;
  const fits = ({ os: system, architecture: processor }: Platform): boolean =>
    system === os && processor === architecture;
  if (request.platformAsked === 'yes' || fits(request.platform)) return request.platform;
  return fits(request.buildPlatform) ? request.buildPlatform : request.platform;
}

function pinned({ reference, manifest }: ResolvedImage): string {
  return reference.includes('@') ? reference : `${reference}@${manifest.digest}`;
}
