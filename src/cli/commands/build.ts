import { rm } from 'node:fs/promises';
import type { BuildRequest, BuildResult } from '../../build-request.ts';
import { buildFlags, type BuildFlags } from '../build-flags.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { progressFlags, type ProgressFlags } from '../common-flags.ts';
import { parseFlags } from '../flag.ts';
import { formatMetadata, imageId } from '../metadata-file.ts';
import { openProgress, resolveMode, type OpenProgress } from '../open-progress.ts';
import { openPalette } from '../palette.ts';
import type { Call } from '../parse-call.ts';
import { readInputs } from '../read-inputs.ts';
import { renderWarnings } from '../render-diagnostics.ts';
import { renderExplanations } from '../render-explanation.ts';
import { reportError } from '../report-error.ts';
import { runCheck } from '../run-check.ts';
import { runSubrequest } from '../run-subrequest.ts';
import { renderSummary } from '../summary.ts';
import { toBuildRequest } from '../to-build-request.ts';
import { usageError } from '../usage-error.ts';
import { writeFileAtomic } from '../write-file-atomic.ts';

/** `tsbuild build`: a Dockerfile and its context to an image. */
export const buildCommand: CommandModule = {
  flags: [...buildFlags, ...progressFlags],
  operands: { min: 0, max: Infinity },
  run: async (invocation) => {
    const { operands, raw, io } = invocation;
    const flags = parseFlags<BuildFlags>(buildFlags, raw, io);
    const request = await readRequest(onlyContext(operands), flags, invocation);
    const call: Call = flags.call ?? { method: flags.check === undefined ? 'build' : 'check', format: 'text' };
    switch (call.method) {
      case 'build':
        return runBuild(request, flags, invocation);
      case 'check':
        return runCheck(request, { ...invocation, format: call.format, fix: 'no' });
      case 'outline':
      case 'targets':
        return runSubrequest(request, { ...invocation, call });
    }
  },
};

/** The request that a command line stands for. */
export async function readRequest(
  context: string,
  flags: Partial<BuildFlags>,
  { io }: Invocation,
): Promise<BuildRequest> {
  const inputs = await readInputs(context, flags.file, io);
  return { ...toBuildRequest(flags, inputs), signal: io.signal, stdout: io.stdout };
}

function onlyContext(operands: readonly string[]): string {
  const [context, ...others] = operands;
  const usage = 'usage: tsbuild [options] PATH | URL | -';
  if (context === undefined) throw usageError('no build context is named', usage);
  if (others.length === 0) return context;
  throw usageError(`a build has one context, but ${operands.length} are named: ${operands.join(' ')}`, usage);
}

async function runBuild(request: BuildRequest, flags: Partial<BuildFlags>, invocation: Invocation): Promise<number> {
  const { io, store, detail, raw, loadApi } = invocation;
  if (writesToStdout(request) && io.stdout.isTTY === true)
    throw usageError('a tar is not written to a terminal', 'add dest=FILE, or redirect the output');
  if (flags.iidFile !== undefined) await rm(flags.iidFile, { force: true });
  const { progress: mode = 'auto', quiet } = parseFlags<ProgressFlags>(progressFlags, raw, io);
  const resolved = quiet === undefined ? resolveMode(mode, io) : 'quiet';
  const startMs = io.now();
  const [progress, api] = await Promise.all([openProgress(resolved, io), loadApi()]);
  try {
    using shown = progress;
    const result = await api.build({ ...request, progress: shown.listener }, store);
    await writeFiles(result, request, flags);
    shown[Symbol.dispose]();
    const human = resolved === 'plain' || resolved === 'tty';
    if (human) printOutcome(result, { request, io, progress, startMs });
    const id = imageId(result);
    if (resolved === 'quiet' && id !== undefined && !writesToStdout(request)) io.stdout.write(`${id}\n`);
    return 0;
  } catch (error) {
    return reportError(error, { io, detail, request, state: progress.state });
  }
}

/** Whether standard output is taken by a tar. */
function writesToStdout({ outputs = [] }: BuildRequest): boolean {
  return outputs.some((output) => 'dest' in output && output.dest === '-');
}

async function writeFiles(result: BuildResult, request: BuildRequest, flags: Partial<BuildFlags>): Promise<void> {
  if (flags.iidFile === undefined && flags.metadataFile === undefined) return;
  const id = imageId(result);
  if (flags.iidFile !== undefined && id !== undefined) await writeFileAtomic(flags.iidFile, id);
  if (flags.metadataFile !== undefined)
    await writeFileAtomic(flags.metadataFile, formatMetadata(result, request.outputs ?? []));
}

interface Outcome {
  readonly request: BuildRequest;
  readonly io: Invocation['io'];
  readonly progress: OpenProgress;
  readonly startMs: number;
}

function printOutcome(result: BuildResult, { request, io, progress, startMs }: Outcome): void {
  const palette = openPalette(io.stderr, io.env);
  const warnings = renderWarnings([...progress.state.warnings, ...result.warnings], palette);
  const summary = renderSummary(result, { elapsedMs: io.now() - startMs, outputs: request.outputs ?? [], palette });
  const explanations = renderExplanations(result.explanations ?? [], palette);
  io.stderr.write([warnings, explanations, summary].filter((part) => part !== '').join('\n'));
}
