import { BuildError } from '../src/core/error.ts';
import type { ExitStatus, RuntimeSpec } from '../src/core/executor.ts';

/** The failure that an OCI runtime wrote to its log, where it could not start the program; `undefined` where it could. */
export function runtimeFailure(log: string, process: RuntimeSpec['process']): BuildError | undefined {
  const errors = entriesOf(log).filter(({ level }) => level === 'error' || level === 'fatal');
  const text = (errors.findLast(({ msg }) => !consequence.test(msg)) ?? errors.at(-1))?.msg.trim();
  if (text === undefined) return undefined;
  const reason = reasonOf(text, process);
  if (reason === undefined) return runtimeError(text);
  return notStarted(process, reason);
}

/** The failure of a runtime that made no container and wrote no log; what it said last stands for a reason. */
export function silentFailure(status: ExitStatus, stderr: string): BuildError {
  const how = status.kind === 'exited' ? `exit code ${status.code}` : status.kind;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  const reason = `no container was started (${how})${said === '' ? '' : `: ${said}`}`;
  return runtimeError(reason);
}

/** The failure of a runtime whose kernel ended because it got no more threads. */
export function processLimitFailure({ resources }: RuntimeSpec): BuildError {
  const limit = resources.pids === undefined ? '' : ` (${resources.pids})`;
  const reason = `it ended at the limit of processes${limit}, which its own threads are counted among`;
  const hint = 'raise --resource pids=N, or leave out --runtime';
  return new BuildError('SANDBOX_FAILED', { step: 'the OCI runtime', reason }, { hint });
}

/**
 * The failure of a program that the kernel refused only after the runtime had reported its start: all that is left of it then is one line on
 * standard error, and exit code 1.
 */
export function lateFailure(stderr: string, process: RuntimeSpec['process']): BuildError | undefined {
  const text = entriesOf(stderr)[0]?.msg ?? stderr;
  const [, crun, runc, reason] =
    /^exec (?:container process (?:\(missing dynamic library\?\) )?`(.*)`|(.*)): (exec format error|no such file or directory)\n?$/i.exec(
      text,
    ) ?? [];
  const program = runc ?? crun;
  if (program === undefined) return undefined;
  const why =
    reason?.toLowerCase() === 'exec format error'
      ? `${program}: neither a program for this machine nor a script with a #! line`
      : `the interpreter of ${program} is missing (its #! line, or its dynamic linker)`;
  return notStarted(process, why);
}

function notStarted({ args }: RuntimeSpec['process'], reason: string): BuildError {
  return new BuildError('EXEC_NOT_STARTED', { command: args.join(' '), reason });
}

function runtimeError(reason: string): BuildError {
  const hint = 'leave out --runtime: our own sandbox asks less of a machine; or name another one';
  return new BuildError('SANDBOX_FAILED', { step: 'the OCI runtime', reason }, { hint });
}

interface LogEntry {
  readonly level: unknown;
  readonly msg: string;
}

/** The objects of a log, each on a line of its own (runc, crun) or one behind the other (runsc). */
function entriesOf(log: string): readonly LogEntry[] {
  const lines = log.replaceAll('}{', '}\n{').split('\n');
  return lines.filter((line) => /^\{.*\}$/.test(line)).flatMap(parseEntry);
}

function parseEntry(line: string): LogEntry[] {
  try {
    const { level, msg } = JSON.parse(line) as { readonly level?: unknown; readonly msg?: unknown };
    return typeof msg === 'string' ? [{ level, msg }] : [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [];
  }
}

/** What runsc says when one of its processes has said why it ended. */
const consequence = /waiting for sandbox to start: EOF|Error reading mounts file/;

/** The words of runc, crun and runsc in ours, where the fault is the spec's. */
function reasonOf(text: string, { args: [program = ''], env, cwd }: RuntimeSpec['process']): string | undefined {
  if (/\bcwd\b|chdir|working directory/.test(text) || text.includes(`mkdir ${cwd}:`))
    return `working directory ${cwd}: ${text}`;
  // Of a process of its own.
  if (text.includes('fork/exec')) return undefined;
  if (!/\bexec\b|executable|failed to load/.test(text)) return undefined;
  const path = env.find((each) => each.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  if (/executable file .*not found|finding executable .* in PATH/.test(text))
    return program.includes('/') ? `${program}: no such file` : `${JSON.stringify(program)} is not in PATH (${path})`;
  if (/no such file or directory/i.test(text)) return `${program}: no such file`;
  if (/permission denied|open executable: operation not permitted/i.test(text)) return `${program}: permission denied`;
  if (text.includes('is a directory')) return `${program}: is a directory`;
  if (/exec format error/i.test(text))
    return `${program}: neither a program for this machine nor a script with a #! line`;
  return `${program}: ${text}`;
}
