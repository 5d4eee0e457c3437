import type { Heredoc } from '../syntax/elements.ts';
import type { LowerContext, StageState } from '../instruction.ts';
import { parseMode } from '../mode.ts';
import { ownership } from '../ownership.ts';
import { joinPath } from '../paths.ts';
import { expandBody, expandWord } from '../stage-expand.ts';
import { withHistory, workingDirectory } from '../stage-state.ts';
import { displayText } from '../step.ts';
import { heredocContent, heredocText } from '../syntax/heredoc.ts';
import { copyActions, type ExpandedCopy } from './copy-actions.ts';
import type { CopyFilesOptions } from './copy-options.ts';
import { CopyPlan } from './copy-plan.ts';
import type { CopyFilesNode } from './parse-copy.ts';

/** The stage with files copied into it: all sources one layer. @throws Flaw */
export function lowerCopyFiles(
  node: CopyFilesNode,
  state: StageState,
  o: { readonly context: LowerContext; readonly options: CopyFilesOptions },
): StageState {
  const { context, options } = o;
  const expanded = expandNode(node, state, context);
  const plan = new CopyPlan(state, context);
  // As BuildKit has it: a mode cannot be applied without the files that are there already.
  const link = node.link === 'yes' && node.chmod === undefined ? 'yes' : 'no';
  const text = displayText(context.instruction.line.text.trim(), (name) => state.scope.lookup(name), {
    context,
    quotes: 'remove',
    unset: 'empty',
  });
  if (link === 'no' && state.root !== undefined) plan.input(state.root);
  const actions = copyActions(expanded, { plan, options, context, text });
  const clash = isLenient(context) && mayClash(expanded) ? 'replace' : undefined;
  return withHistory(plan.commit({ actions, clash, link, text }), historyText(expanded, options), 'layer');
}

function expandNode(node: CopyFilesNode, state: StageState, context: LowerContext): ExpandedCopy {
  const chown = expandWord(node.chown ?? '', state, context);
  const chmod = expandWord(node.chmod ?? '', state, context);
  const sources = node.sources.map((source) => expandWord(source, state, context));
  const writtenDest = expandWord(node.dest, state, context);
  return {
    sources,
    documents: node.documents.map((document) => ({
      name: document.name,
      data: documentData(document, state, context),
    })),
    writtenDest,
    dest: destination(writtenDest, workingDirectory(state)),
    chown,
    chmod,
    owner: chown === '' ? {} : { owner: ownership(chown, isLenient(context) ? 'ignore' : undefined) },
    mode: chmod === '' ? {} : { mode: parseMode(chmod) },
    exclusion: {
      exclude: node.exclude,
      ...(isLenient(context) && node.exclude.length > 0 && { excludeNamed: 'copy' as const }),
    },
  };
}

/** Whether BuildKit's leniency was asked for, where it does more harm than good. */
function isLenient({ request }: LowerContext): boolean {
  return request.compat === 'buildkit';
}

/** Whether several sources may come to one file. */
function mayClash({ sources, documents, dest }: ExpandedCopy): boolean {
  return !dest.endsWith('/') && (sources.length + documents.length > 1 || sources.some((path) => /[*?[]/.test(path)));
}

function documentData(document: Heredoc, state: StageState, context: LowerContext): Uint8Array {
  return document.expand === 'no'
    ? heredocContent(document)
    : Buffer.from(expandBody(heredocText(document), state, context));
}

/** Absolute; ends in a slash where it must be a directory. */
function destination(written: string, directory: string): string {
  const path = joinPath(directory, written);
  const isDirectory = written === '' || written === '.' || written.endsWith('/') || written.endsWith('/.');
  return isDirectory && path !== '/' ? `${path}/` : path;
}

function historyText(copy: ExpandedCopy, { keyword, parents }: CopyFilesOptions): string {
  const flags = [
    ...(parents === 'keep' ? ['--parents'] : []),
    ...(copy.chown === '' ? [] : [`--chown=${copy.chown}`]),
    ...(copy.chmod === '' ? [] : [`--chmod=${copy.chmod}`]),
  ];
  const documents = copy.documents.map(({ name }) => `<<${name}`);
  return `${[keyword, ...flags, ...copy.sources, ...documents, copy.writtenDest].join(' ')} # buildkit`;
}
