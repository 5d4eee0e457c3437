import type { GraphBuilder, Source, VertexId, VertexMeta } from '../src/core/graph.ts';
import type { GitUrl } from '../src/core/git-url.ts';
import type { Digest } from '../src/oci/digest.ts';
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
export function gitSource(reference: GitUrl): Source {
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

/** The tree of a build context by its name. */
export function contextVertex(name: string, o: { readonly graph: GraphBuilder; readonly meta: VertexMeta }): VertexId {
  return o.graph.add({ kind: 'source', source: { type: 'local', name } }, [], o.meta);
}

/** A tree without files, for what must name one. */
export function emptyTree(graph: GraphBuilder): VertexId {
  return graph.add({ kind: 'file', base: 'scratch', actions: [] }, [], { name: '[internal] empty tree' });
}

/** `name` as a pattern that matches just it. */
export function escapeWildcards(name: string): string {
  return name.replaceAll(/[*?[\]\\]/g, '\\$&');
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return path;
    throw error;
  }
}
