import { globError } from '../../src/core/glob.ts';
import type { CopyAction, FileAction, Mode, Ownership } from '../../src/core/graph.ts';
import { Flaw } from '../flaw.ts';
import type { LowerContext } from '../instruction.ts';
import { MESSAGES } from '../lint/rules.ts';
import { cleanPath, rootedPath } from '../paths.ts';
import type { CopyFilesOptions } from './copy-options.ts';
import type { CopyPlan } from './copy-plan.ts';
import { checkChecksum, remoteSource, type RemoteSource } from './remote-source.ts';

/** The node with variables replaced. */
export interface ExpandedCopy {
  readonly sources: readonly string[];
  readonly documents: readonly { readonly name: string; readonly data: Uint8Array }[];
  readonly writtenDest: string;
  readonly dest: string;
  readonly chown: string;
  readonly chmod: string;
  readonly owner: { readonly owner?: Ownership };
  readonly mode: { readonly mode?: Mode };
  readonly exclusion: Pick<CopyAction, 'exclude' | 'excludeNamed'>;
}

interface ActionContext {
  readonly plan: CopyPlan;
  readonly options: CopyFilesOptions;
  readonly context: LowerContext;
  readonly text: string;
}

/** The actions for all sources, in order; paths of one tree are one action. @throws Flaw */
export function copyActions(copy: ExpandedCopy, o: ActionContext): readonly FileAction[] {
  checkChecksum(copy.sources, o.options);
  const common = { dest: copy.dest, ...copy.owner, ...copy.mode };
  const copies = groupSources(copy.sources, o.options).map((group): FileAction => {
    const { parents, unpackLocal } = o.options;
    return group.kind === 'remote'
      ? {
          type: 'copy',
          from: o.plan.source(group.remote.source, o.text),
          sources: [group.remote.path],
          ...common,
          ...copy.exclusion,
          parents: 'drop',
          unpack: group.remote.unpack,
        }
      : {
          type: 'copy',
          from: o.plan.input(o.options.tree()),
          sources: group.paths.map((path) => pathPattern(path, o)),
          ...common,
          ...copy.exclusion,
          parents,
          unpack: unpackLocal,
        };
  });
  const writes = copy.documents.map(({ name, data }): FileAction => ({ type: 'write', name, data, ...common }));
  return [...copies, ...writes];
}

type SourceGroup =
  { readonly kind: 'remote'; readonly remote: RemoteSource } | { readonly kind: 'paths'; readonly paths: string[] };

function groupSources(sources: readonly string[], options: CopyFilesOptions): readonly SourceGroup[] {
  const groups: SourceGroup[] = [];
  for (const source of sources) {
    const remote = remoteSource(source, options);
    const last = groups.at(-1);
    if (remote !== undefined) groups.push({ kind: 'remote', remote });
    else if (last?.kind === 'paths') last.paths.push(source);
    else groups.push({ kind: 'paths', paths: [source] });
  }
  return groups;
}

function pathPattern(source: string, o: ActionContext): string {
  warnIgnored(source, o);
  if (o.options.parents === 'keep') return pivotPath(source);
  const path = rootedPath(source);
  const problem = globError(path);
  if (problem === undefined) return path;
  throw new Flaw('InvalidPattern', `${JSON.stringify(source)} is no valid pattern: ${problem}`, {
    place: { kind: 'word', text: source },
    help: 'put a backslash before a bracket that stands for itself',
  });
}

/** A source of `--parents`: clean on both sides of the pivot `/./`, if there is one. */
function pivotPath(source: string): string {
  const at = source.indexOf('/./');
  if (at === -1) return rootedPath(source);
  const parent = rootedPath(source.slice(0, at));
  return `${parent === '/' ? '' : parent}/.${rootedPath(source.slice(at + 3))}`;
}

function warnIgnored(source: string, { options, context }: ActionContext): void {
  const { ignore } = context.request;
  const path = cleanPath(source);
  // With exceptions it cannot be told from a directory's name what of it is left.
  if (
    options.origin !== 'context' ||
    ignore === undefined ||
    ignore.patterns.some((pattern) => pattern.startsWith('!'))
  )
    return;
  if (path === '.' || path === '/' || !ignore.matches(path.replace(/^\/+/, ''))) return;
  context.warn('CopyIgnoredFile', MESSAGES.CopyIgnoredFile(options.keyword === 'COPY' ? 'Copy' : 'Add', path), {
    place: { kind: 'word', text: source },
    help: 'take it out of the ignore file, or copy something else',
  });
}
