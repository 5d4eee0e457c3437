import { invariant } from '../src/core/error.ts';
import type { StepRecord } from '../src/core/cache.ts';
import type { StepName } from '../src/core/explanation.ts';
import type { BuildGraph, Vertex, VertexId } from '../src/core/graph.ts';
import type { KeyField } from './cache-key.ts';
import type { CacheMap } from './op-handler.ts';
import type { ExplainedKey } from './vertex-keys.ts';

/** What one input of a step was. */
export type TracedInput =
  | { readonly kind: 'image'; readonly reference: string; readonly digest: string }
  /** `key` is its recipe key. */
  | { readonly kind: 'step'; readonly step: StepName; readonly key: string }
  /** `digests` are one per selection, in order, as are `paths`. */
  | {
      readonly kind: 'files';
      readonly name: string;
      readonly paths: readonly (readonly string[])[];
      readonly digests: readonly string[];
    }
  | { readonly kind: 'remote'; readonly source: string; readonly key: string };

/** What a step's recipe key is made from, in a form that can be compared. */
export interface StepTrace extends StepName {
  readonly fields: readonly (readonly [label: string, value: string])[];
  readonly inputs: readonly TracedInput[];
}

/** What tracing needs of whoever made the keys. */
export interface TracePorts {
  readonly cacheMap: (vertex: Vertex) => Promise<CacheMap>;
  readonly recipe: (vertex: Vertex) => Promise<ExplainedKey | undefined>;
}

const VERSION = 1;

/** Traces of all steps of a graph that make a layer, by vertex, in the graph's order. */
export async function traceSteps(graph: BuildGraph, ports: TracePorts): Promise<ReadonlyMap<VertexId, StepTrace>> {
  const names = nameSteps(graph);
  const traces = new Map<VertexId, StepTrace>();
  for (const [id, name] of names) traces.set(id, await traceStep(vertexOf(graph, id), { name, names, graph, ports }));
  return traces;
}

/** The stable names of all steps that make a layer: stage, position, text. */
export function nameSteps(graph: BuildGraph): ReadonlyMap<VertexId, StepName> {
  const names = new Map<VertexId, StepName>();
  const positions = new Map<string, number>();
  for (const { id, op, meta } of graph.values()) {
    if (op.kind !== 'exec' && op.kind !== 'file') continue;
    const { stage = '' } = meta;
    const position = positions.get(stage) ?? 0;
    positions.set(stage, position + 1);
    names.set(id, { stage, position, text: meta.name.replace(/^\[[^\]]*\] /, '') });
  }
  return names;
}

/** The trace as the index keeps it. */
export function toStepRecord({ stage, position, text, fields, inputs }: StepTrace, durationMs?: number): StepRecord {
  const trace = JSON.stringify({ version: VERSION, fields, inputs });
  return { stage, position, text, trace, ...(durationMs === undefined ? {} : { durationMs }) };
}

/** What the index kept; `undefined` for one of another version. */
export function decodeStepTrace({ stage, position, text, trace }: StepRecord): StepTrace | undefined {
  const kept = JSON.parse(trace) as Partial<Pick<StepTrace, 'fields' | 'inputs'>> & { readonly version?: number };
  if (kept.version !== VERSION || kept.fields === undefined || kept.inputs === undefined) return undefined;
  return { stage, position, text, fields: kept.fields, inputs: kept.inputs };
}

interface Tracing {
  readonly name: StepName;
  readonly names: ReadonlyMap<VertexId, StepName>;
  readonly graph: BuildGraph;
  readonly ports: TracePorts;
}

async function traceStep(vertex: Vertex, tracing: Tracing): Promise<StepTrace> {
  const map = await tracing.ports.cacheMap(vertex);
  const recipe = await tracing.ports.recipe(vertex);
  invariant(map.fields !== undefined && recipe !== undefined, 'a step has an identity');
  const ofInputs = recipe.fields.slice(map.fields.length);
  const inputs = await Promise.all(
    vertex.inputs.map((id, index) => traceInput(id, { ...tracing, map, index, field: ofInputs[index] })),
  );
  return { ...tracing.name, fields: map.fields.map(([label, value]) => [label, textOf(value)]), inputs: inputs.flat() };
}

interface InputTracing extends Tracing {
  readonly map: CacheMap;
  readonly index: number;
  /** The input's field in the step's recipe. */
  readonly field: KeyField | undefined;
}

/** A merge is no step: whatever it stacks is. */
async function traceInput(id: VertexId, tracing: InputTracing): Promise<readonly TracedInput[]> {
  const { names, graph, ports, map, index, field } = tracing;
  const vertex = vertexOf(graph, id);
  const step = names.get(id);
  const recipe = await ports.recipe(vertex);
  if (step !== undefined) return [{ kind: 'step', step, key: recipe?.key ?? '' }];
  if (vertex.op.kind !== 'source') {
    return (await Promise.all(vertex.inputs.map((below) => traceInput(below, tracing)))).flat();
  }
  const { source } = vertex.op;
  switch (source.type) {
    case 'image':
      return [{ kind: 'image', reference: source.reference, digest: source.digest }];
    case 'local': {
      const use = map.inputs[index];
      const paths = use?.by === 'content' ? use.selections.map((selection) => selection.paths) : [];
      const digests = field === undefined ? [] : textOf(field[1]).split('\n');
      return [{ kind: 'files', name: source.name, paths, digests }];
    }
    case 'http':
      return [{ kind: 'remote', source: source.url, key: recipe?.key ?? '' }];
    case 'git':
      return [{ kind: 'remote', source: source.remote, key: recipe?.key ?? '' }];
  }
}

function textOf(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : Buffer.from(value).toString('base64');
}

function vertexOf(graph: BuildGraph, id: VertexId): Vertex {
  const vertex = graph.get(id);
  invariant(vertex !== undefined, `vertex ${id} is in the graph`);
  return vertex;
}
