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
      if (!isRemote(source)) return { fields: knownIdentity(source), inputs: [], records: 'never' };
      const { identity } = await fetchOnce(source, { ports, fetched, context });
      return { fields: [[source.type, identity]], inputs: [], records: 'never' };
    },
    async run({ source }, _inputs, context) {
      return { tree: await open(source, { ports, fetched, context }) };
    },
  };
}

/** A source whose identity is known once it was fetched. */
type RemoteSource = Source & { readonly type: 'http' | 'git' };

/** Whether somebody has to be asked what the source gives. */
export function isRemote(source: Source): source is RemoteSource {
  return source.type === 'http' || source.type === 'git';
}

/** What identifies a source that need not be asked; `undefined` where only its content does. */
export function knownIdentity(source: Exclude<Source, RemoteSource>): readonly KeyField[] | undefined {
  return source.type === 'image' ? [['image', source.digest]] : undefined;
}

interface Fetching {
  readonly ports: SourcePorts;
  readonly fetched: Map<Source, Promise<FetchedTree>>;
  readonly context: OpContext;
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
