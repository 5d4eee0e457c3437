import type { Diagnostic } from '../core/diagnostic.ts';
import { type BuildError, isBuildError } from '../core/error.ts';
import { cleanLine, cleanText } from './control-sequences.ts';
import type { Palette } from './palette.ts';
import type { StepState } from './progress-state.ts';
import { renderDiagnostics } from './render-diagnostics.ts';
import { formatExcerpt } from './source-excerpt.ts';
import { filesOf, type SourceTexts } from './source-texts.ts';

/** What the error block is made of besides the error. */
export interface ErrorBlockOptions {
  readonly palette: Palette;
  readonly texts: SourceTexts;
  /** The step that failed, where one did. */
  readonly step?: StepState | undefined;
  readonly detail: 'normal' | 'debug';
}

/** The step's last lines of output that are repeated in the block. */
const OUTPUT_LINES = 20;

/**
 * The block that ends a failed command: the failing step's last output, the source excerpt, `error CODE: message`, the hint.
 * A bug of ours gets its stack with `--debug`, and a request to report it otherwise.
 */
export function renderError(error: unknown, o: ErrorBlockOptions): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((one) => renderError(one, o)).join('\n');
  }
  if (!isBuildError(error)) return renderBug(error, o);
  const diagnostics = diagnosticsOf(error);
  // The flaws in a Dockerfile are the whole message; findings of a check come before it.
  if (isBuildError(error, 'DOCKERFILE_INVALID') && diagnostics.length > 0) {
    return renderDiagnostics(diagnostics, o) + renderCauses(error, o);
  }
  const { palette } = o;
  return [
    diagnostics.length === 0 ? '' : renderDiagnostics(diagnostics, o),
    renderOutput(o),
    error.range === undefined ? '' : formatExcerpt(error.range, o.texts(error.range.file), palette),
    `${palette('error', `error ${error.code}:`)} ${cleanText(error.message)}\n`,
    error.hint === undefined ? '' : `${palette('bold', 'hint:')} ${cleanText(error.hint)}\n`,
    renderCauses(error, o),
  ].join('');
}

/** The files whose text `renderError` wants to show. */
export function filesOfError(error: unknown): readonly string[] {
  if (error instanceof AggregateError) return error.errors.flatMap(filesOfError);
  if (!isBuildError(error)) return [];
  const diagnostics = diagnosticsOf(error);
  return [...(error.range === undefined ? [] : [error.range.file]), ...filesOf(diagnostics)];
}

function diagnosticsOf(error: BuildError): readonly Diagnostic[] {
  if (isBuildError(error, 'DOCKERFILE_INVALID')) return error.detail.diagnostics;
  return isBuildError(error, 'CHECK_FAILED') ? error.detail.diagnostics : [];
}

function renderOutput({ step, palette }: ErrorBlockOptions): string {
  if (step === undefined || step.lines.length === 0) return '';
  const name = cleanLine(step.info.name.replaceAll(/\s*\n\s*/g, ' '), 'strip');
  const lines = step.lines.slice(-OUTPUT_LINES).map(({ text, sinceMs }) => {
    const stamp = palette('dim', (Math.max(0, sinceMs) / 1000).toFixed(3));
    return `${stamp} ${cleanLine(text, 'strip')}`.trimEnd();
  });
  return ['------', ` > ${name}:`, ...lines, '------', ''].join('\n');
}

function renderBug(error: unknown, { palette, detail }: ErrorBlockOptions): string {
  const message = cleanText(error instanceof Error ? error.message : String(error));
  const head = `${palette('error', 'error INTERNAL:')} ${message}\n`;
  if (detail === 'debug') return `${head}${stackOf(error)}\n`;
  return `${head}${palette('bold', 'hint:')} this is a bug in tsbuild; please report it with the output of the same command with --debug\n`;
}

function renderCauses(error: BuildError, { detail }: ErrorBlockOptions): string {
  return detail === 'debug' ? `${stackOf(error)}\n` : '';
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return cleanText(String(error));
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${cleanText(error.stack ?? error.message)}${cause}`;
}
