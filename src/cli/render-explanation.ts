import type { Cause, FileChange, StepExplanation } from '../core/explanation.ts';
import type { Palette } from './palette.ts';

/** Files listed one by one; more are counted. */
const MAX_FILES = 10;
const MAX_VALUE = 100;
const DIGEST_LETTERS = 'sha256:'.length + 12;

const STATES: Readonly<Record<StepExplanation['state'], string>> = {
  ran: 'ran',
  'would-run': 'would run',
  'may-run': 'may run, unless the steps above give the same files as before',
};

/** Why steps ran, or would run: each step with its causes below. */
export function renderExplanations(explanations: readonly StepExplanation[], palette: Palette): string {
  return explanations
    .map(({ name, state, causes }) => {
      const lines = causes.flatMap(describeCause).map((line) => `  ${line}\n`);
      return `${palette('bold', oneLine(name))} ${palette('dim', STATES[state])}\n${lines.join('')}`;
    })
    .join('');
}

function describeCause(cause: Cause): readonly string[] {
  switch (cause.kind) {
    case 'new':
      return ['new: no build of this Dockerfile has done it yet'];
    case 'not-kept':
      return ['nothing changed, but its result is not in the store: it was pruned, or never finished'];
    case 'no-cache':
      return ['--no-cache asks for it'];
    case 'instruction':
      return ['the instruction changed', `- ${shorten(cause.before)}`, `+ ${shorten(cause.after)}`];
    case 'variable':
      return [`${cause.of === 'env' ? 'ENV' : 'ARG'} ${cause.name}: ${change(cause)}`];
    case 'setting':
      return [`${cause.name}: ${change(cause)}`];
    case 'base-image':
      return [`base image ${cause.reference}: ${shortDigest(cause.before)} → ${shortDigest(cause.after)}`];
    case 'files':
      return describeFiles(cause);
    case 'remote':
      return [`${cause.source} gives something else`];
    case 'inputs':
      return ['it takes its files from elsewhere'];
    case 'step':
      return [`a step above: ${shorten(cause.step.text)}`];
  }
}

function change({ before, after }: { readonly before?: string; readonly after?: string }): string {
  if (before === undefined) return `added, ${quote(after ?? '')}`;
  if (after === undefined) return `removed, was ${quote(before)}`;
  return before === after ? `another value (${before})` : `${quote(before)} → ${quote(after)}`;
}

function describeFiles(cause: Cause & { readonly kind: 'files' }): readonly string[] {
  const { paths, total, changed, changes, from } = cause;
  const what = `${from === 'context' ? '' : `${from}: `}${paths.map(oneLine).join(' ')}`;
  if (total === undefined || changed === undefined)
    return [`${what}: files changed (which ones is not known any more)`];
  const listed = changes.slice(0, MAX_FILES).map((file) => `  ${oneLine(file.path)}: ${describeFile(file)}`);
  return [
    `${what}: ${changed} of ${total} ${total === 1 ? 'file' : 'files'} changed`,
    ...listed,
    ...(changed > listed.length ? [`  and ${changed - listed.length} more`] : []),
    ...(isUmask(changes) ? ['  only modes differ: was the context made with another umask?'] : []),
  ];
}

function describeFile({ how, before, after }: FileChange): string {
  const values = before === undefined ? '' : ` ${before} → ${after ?? ''}`;
  const valued = how.find((one) => one === 'mode' || one === 'owner' || one === 'type');
  return how.map((one) => (one === valued ? `${one}${values}` : one)).join(', ');
}

/** A checkout with another umask differs in nothing but the bits that a umask takes. */
function isUmask(changes: readonly FileChange[]): boolean {
  return changes.every(({ how, before = '', after = '' }) => {
    const bits = Number.parseInt(before, 8) ^ Number.parseInt(after, 8);
    return how.length === 1 && how[0] === 'mode' && (bits & ~0o066) === 0;
  });
}

function quote(value: string): string {
  return value === '***' ? value : JSON.stringify(shorten(value));
}

function shorten(text: string): string {
  const line = oneLine(text);
  return line.length > MAX_VALUE ? `${line.slice(0, MAX_VALUE - 1)}…` : line;
}

/** A heredoc's first line says enough; control characters of a name must not reach a terminal. */
function oneLine(text: string): string {
  return text.replace(/\n[^]*/, ' …').replaceAll(/\p{Cc}/gu, '?');
}

function shortDigest(text: string): string {
  return text.startsWith('sha256:') ? text.slice(0, DIGEST_LETTERS) : text.replace(/(@sha256:.{12}).*/, '$1');
}
