import type { FetchedTree, GitSource, HttpSource, ImageSource } from '../../src/core/source.ts';
import { BuildError } from '../../src/core/error.ts';
import type { Source, SourceOp } from '../../src/core/graph.ts';
import type { LocalTree, Tree } from '../../src/core/tree.ts';
import type { KeyField } from '../cache-key.ts';
import { statusEmitter, type OpContext, type OpHandler } from '../op-handler.ts';

/** What brings files in from outside. */
export interface SourcePorts {
  readonly images: Pick<ImageSource, 'layers'>;
  readonly http: HttpSource;
  readonly git: GitSource;
  /** The build's contexts by name. */
  readonly locals: ReadonlyMap<string, LocalTree>;
}

/** Sources keep their own records (blobs, layers, downloads): the solver writes none. */
export function sourceHandler(ports: SourcePorts): OpHandler<SourceOp> {
  const fetched = new Map<Source, Promise<FetchedTree>>();
  return {
    async cacheMap({ source }, context) {
      const fields = await identify(source, (remote) => fetchOnce(remote, { ports, fetched, context }));
      return { fields, inputs: [], records: 'never' };
    },
    async run({ source }, _inputs, context) {
      return { tree: await open(source, { ports, fetched, context }) };
    },
  };
}

type RemoteSource = Source & { readonly type: 'http' | 'git' };

interface Fetching {
  readonly ports: SourcePorts;
  readonly fetched: Map<Source, Promise<FetchedTree>>;
  readonly context: OpContext;
}

async function identify(
  source: Source,
  fetch: (source: RemoteSource) => Promise<FetchedTree>,
): Promise<readonly KeyField[] | undefined> {
  switch (source.type) {
    case 'image':
      return [['image', source.digest]];
    case 'local':
      return undefined;
    case 'http':
    case 'git':
      return [[source.type, (await fetch(source)).identity]];
  }
}

async function open(source: Source, fetching: Fetching): Promise<Tree> {
  const { ports, context } = fetching;
  switch (source.type) {
    case 'image': {
      const progress = statusEmitter(context);
      const stack = await ports.images.layers(source.digest, { progress, signal: context.signal });
      return { kind: 'layers', stack };
    }
    case 'local': {
      const tree = ports.locals.get(source.name);
      if (tree === undefined) throw new BuildError('CONTEXT_NOT_FOUND', { path: source.name });
      return tree;
    }
    case 'http':
    case 'git':
      return (await fetchOnce(source, fetching)).tree;
  }
}

/** The key needs what was fetched, and so does the step: one download serves both. */
function fetchOnce(source: RemoteSource, { ports, fetched, context: { signal } }: Fetching): Promise<FetchedTree> {
  let result = fetched.get(source);
  if (result === undefined) {
    result = source.type === 'http' ? ports.http.fetch({ ...source, signal }) : ports.git.fetch({ ...source, signal });
    fetched.set(source, result);
  }
  return result;
}
