import type { VertexId } from '../../src/core/graph.ts';

/** What only one of COPY and ADD has. */
export interface CopyFilesOptions {
  readonly keyword: 'COPY' | 'ADD';
  /** The tree that paths are of, asked for only if there are any. */
  readonly tree: () => VertexId;
  /** `context`: the main one, to which the ignore file applies. */
  readonly origin: 'context' | 'elsewhere';
  readonly parents: 'keep' | 'drop';
  readonly unpackLocal: 'auto' | 'never';
  readonly unpackRemote: 'auto' | 'never';
  readonly checksum?: string;
  readonly gitDir?: 'keep' | 'drop';
}
