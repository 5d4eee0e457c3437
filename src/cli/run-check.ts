import { isUtf8 } from 'node:buffer';
import type { BuildRequest } from '../build-request.ts';
import type { CheckResult } from '../store-handle.ts';
import { applyEdits } from './apply-edits.ts';
import type { Invocation } from './command.ts';
import { openPalette } from './palette.ts';
import type { Call } from './parse-call.ts';
import { renderDiagnostics, sortDiagnostics } from './render-diagnostics.ts';
import { toSarif } from './sarif.ts';
import { locateDockerfile } from './source-texts.ts';
import { usageError } from './usage-error.ts';
import { version } from './version.ts';
import { writeFileAtomic } from './write-file-atomic.ts';
import { reportError } from './report-error.ts';

/** How a check is done. */
export interface CheckOptions extends Pick<Invocation, 'io' | 'store' | 'loadApi' | 'detail'> {
  readonly format: Call['format'];
  readonly fix: 'yes' | 'no';
}

/** A fix may uncover or enable another; two rounds have sufficed for all rules, more than this would be a cycle. */
const MAX_ROUNDS = 8;

/** Checks a Dockerfile, mends it if asked, prints what is left. @returns 1 where something is left, else 0 */
export async function runCheck(request: BuildRequest, o: CheckOptions): Promise<number> {
  const { io, store, loadApi, detail } = o;
  try {
    const api = await loadApi();
    const check = (): Promise<CheckResult> => api.check({ ...request, call: 'check' }, store);
    const result = o.fix === 'yes' ? await fixAll(request, o, check) : await check();
    io.stdout.write(formatResult(result, o));
    return result.failed || result.diagnostics.length > 0 ? 1 : 0;
  } catch (error) {
    return reportError(error, { io, detail, request });
  }
}

async function fixAll(
  request: BuildRequest,
  { io }: CheckOptions,
  check: () => Promise<CheckResult>,
): Promise<CheckResult> {
  let result = await check();
  let fixes = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = Buffer.from(result.text);
    const { text, fixed } = applyEdits(result.file, before.toString(), result.diagnostics);
    if (fixed.length === 0) break;
    if (!isUtf8(before)) throw usageError(`${result.file} cannot be changed: it is not UTF-8`);
    const path = await locateDockerfile(result.file, result.text, request);
    if (path === undefined)
      throw usageError(`${result.file} cannot be changed: it is not a file here`, 'check a Dockerfile in a directory');
    await writeFileAtomic(path, text);
    fixes += fixed.length;
    result = await check();
  }
  io.stderr.write(fixes === 0 ? 'nothing to fix\n' : `fixed ${count(fixes, 'finding')} in ${result.file}\n`);
  return result;
}

function formatResult(result: CheckResult, { format, io }: CheckOptions): string {
  const sorted = { ...result, diagnostics: sortDiagnostics(result.diagnostics) };
  switch (format) {
    case 'json': {
      const { file, diagnostics, failed } = sorted;
      return `${JSON.stringify({ file, failed, diagnostics }, undefined, 2)}\n`;
    }
    case 'sarif':
      return `${JSON.stringify(toSarif(sorted, version), undefined, 2)}\n`;
    case 'text':
      return formatText(sorted, io);
  }
}

function formatText({ file, text, diagnostics }: CheckResult, io: CheckOptions['io']): string {
  const palette = openPalette(io.stdout, io.env);
  if (diagnostics.length === 0) return 'Check complete, no warnings found.\n';
  const source = Buffer.from(text).toString();
  const body = renderDiagnostics(diagnostics, { palette, texts: (name) => (name === file ? source : undefined) });
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const counts = [count(errors, 'error'), count(diagnostics.length - errors, 'warning')].filter((part) => part !== '');
  return `${body}\nCheck complete, ${counts.join(' and ')} found.\n`;
}

function count(number: number, noun: string): string {
  return number === 0 ? '' : `${number} ${noun}${number === 1 ? '' : 's'}`;
}
