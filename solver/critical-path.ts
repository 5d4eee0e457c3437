import type { BuildGraph, VertexId } from '../src/core/graph.ts';

/** The time of the longest chain of vertices that wait for each other, in the unit of `costOf`. */
export function criticalPath(graph: BuildGraph, costOf: (id: VertexId) => number): number {
  const ends = new Map<VertexId, number>();
  for (const { id, inputs } of graph.values()) {
    ends.set(id, costOf(id) + Math.max(0, ...inputs.map((input) => ends.get(input) ?? 0)));
  }
  return Math.max(0, ...ends.values());
}
