import type { BuildRequest } from '../build-request.ts';
import { diskFailure, isBuildError } from '../core/error.ts';
import type { CliIo } from './cli-io.ts';
import { Interruption } from './interruption.ts';
import { openPalette } from './palette.ts';
import type { ProgressState } from './progress-state.ts';
import { filesOfError, renderError } from './render-error.ts';
import { readSourceTexts } from './source-texts.ts';

/** What is known about the command that failed. */
export interface ErrorReport {
  readonly io: CliIo;
  readonly detail: 'normal' | 'debug';
  readonly request?: BuildRequest;
  readonly state?: ProgressState;
}

/** Prints why a command failed to standard error. @returns the exit status */
export async function reportError(thrown: unknown, { io, detail, request, state }: ErrorReport): Promise<number> {
  if (io.signal.aborted) return reportInterruption(io);
  // Any read or write may meet a broken disk; those of the store and of the context have said where.
  const first = firstOf(thrown);
  const error = diskFailure(first, 'a file that the system does not name') ?? first;
  const texts = await readSourceTexts(filesOfError(error), request);
  const step = [...(state?.steps ?? [])].find(
    (one) => one.phase === 'failed' && (one.error === first || isSame(one.error, first)),
  );
  io.stderr.write(renderError(error, { palette: openPalette(io.stderr, io.env), texts, step, detail }));
  return isBuildError(error) ? error.exitStatus : 1;
}

/** What went wrong first; what went wrong while cleaning up after it says less. */
function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}

/** `BuildError.at` makes a copy, so one failure may be two objects. */
function isSame(a: unknown, b: unknown): boolean {
  return isBuildError(a) && isBuildError(b) && a.code === b.code && a.message === b.message;
}

function reportInterruption(io: CliIo): number {
  const reason: unknown = io.signal.reason;
  if (!(reason instanceof Interruption)) return 130;
  if (reason.signal !== 'SIGPIPE')
    io.stderr.write(`${openPalette(io.stderr, io.env)('cancel', 'canceled:')} ${reason.message}\n`);
  return reason.exitStatus;
}
