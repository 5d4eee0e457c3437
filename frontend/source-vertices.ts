import type { GraphBuilder, Source, VertexId, VertexMeta } from '../src/core/graph.ts';
import type { Digest } from '../src/oci/digest.ts';
import type { GitReference } from './git-reference.ts';
import { parseGitReference } from './git-reference.ts';
import { Flaw } from './flaw.ts';
import type { MainContext } from './lower-request.ts';
import { baseName } from './paths.ts';

/** The name of the file that a download makes: the last part of the URL's path, or `__unnamed__`. */
export function downloadName(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : '';
  const name = baseName(decode(path));
  return ['.', '..', '/', ''].includes(name) || name.includes('\0') ? '__unnamed__' : name;
}

/** The source for a file to download. */
export function httpSource(url: string, checksum?: Digest): Source {
  return { type: 'http', url, filename: downloadName(url), ...(checksum !== undefined && { checksum }) };
}

/** The source for a commit's tree. */
export function gitSource(reference: GitReference): Source {
  const { remote, ref, subdir, checksum, mtime } = reference;
  return {
    type: 'git',
    remote,
    ...(ref !== undefined && { ref }),
    ...(subdir !== undefined && { subdir }),
    ...(checksum !== undefined && { checksum }),
    submodules: reference.submodules ?? 'recursive',
    gitDir: reference.gitDir ?? 'drop',
    ...(mtime !== undefined && { mtime }),
  };
}

/** The tree of a build context; an archive behind a URL is unpacked. @throws Flaw for a broken git reference. */
export function contextVertex(
  context: MainContext,
  o: {
    readonly graph: GraphBuilder;
    readonly name: string;
    readonly gitDir?: 'keep' | 'drop';
    readonly meta: VertexMeta;
  },
): VertexId {
  if (context.kind === 'local')
    return o.graph.add({ kind: 'source', source: { type: 'local', name: o.name } }, [], o.meta);
  if (context.kind === 'git') {
    const text = context.remote.startsWith('github.com/') ? `https://${context.remote}` : context.remote;
    const reference = parseGitReference(text) ?? parseGitReference(withSuffix(text));
    if (reference === undefined) throw new Flaw('InvalidGitReference', `${context.remote} is no git repository`);
    const source = gitSource({ ...(o.gitDir !== undefined && { gitDir: o.gitDir }), ...reference });
    return o.graph.add({ kind: 'source', source }, [], o.meta);
  }
  const archive = o.graph.add({ kind: 'source', source: httpSource(context.url) }, [], o.meta);
  return o.graph.add(
    {
      kind: 'file',
      base: 'scratch',
      actions: [
        {
          type: 'copy',
          from: 0,
          sources: [`/${escapeWildcards(downloadName(context.url))}`],
          dest: '/',
          exclude: [],
          parents: 'drop',
          unpack: 'always',
        },
      ],
    },
    [archive],
    { ...o.meta, name: `${o.meta.name} (unpack)` },
  );
}

/** A tree without files, for what must name one. */
export function emptyTree(graph: GraphBuilder): VertexId {
  return graph.add({ kind: 'file', base: 'scratch', actions: [] }, [], { name: '[internal] empty tree' });
}

/** `name` as a pattern that matches just it. */
export function escapeWildcards(name: string): string {
  return name.replaceAll(/[*?[\]\\]/g, '\\$&');
}

function withSuffix(text: string): string {
  return text.replace(/(?=[?#]|$)/, '.git');
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return path;
    throw error;
  }
}
