import { BuildError } from '../src/core/error.ts';
import type { ExitStatus, RuntimeSpec } from '../src/core/executor.ts';

/** The failure that an OCI runtime wrote to its log, where it could not start the program; `undefined` where it could. */
export function runtimeFailure(log: string, process: RuntimeSpec['process']): BuildError | undefined {
  const message = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { readonly level?: unknown; readonly msg?: unknown })
    .findLast(({ level }) => level === 'error' || level === 'fatal')?.msg;
  if (typeof message !== 'string') return undefined;
  const text = message.trim();
  const reason = reasonOf(text, process);
  if (reason === undefined) return runtimeError(text);
  return new BuildError('EXEC_NOT_STARTED', { command: process.args.join(' '), reason });
}

/** The failure of a runtime that made no container and wrote no log; what it said last stands for a reason. */
export function silentFailure(status: ExitStatus, stderr: string): BuildError {
  const how = status.kind === 'exited' ? `exit code ${status.code}` : status.kind;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  const reason = `no container was started (${how})${said === '' ? '' : `: ${said}`}`;
  return runtimeError(reason);
}

function runtimeError(reason: string): BuildError {
  const hint = 'leave out --runtime: our own sandbox asks less of a machine; or name another one';
  return new BuildError('SANDBOX_FAILED', { step: 'the OCI runtime', reason }, { hint });
}

/**
 * The failure of a program that the kernel refused only after the runtime had reported its start: all that is left of it then is one line on
 * standard error, and exit code 1.
 */
export function lateFailure(stderr: string, args: readonly string[]): BuildError | undefined {
  const [, program, reason] = /^exec (.*): (exec format error|no such file or directory)\n$/.exec(stderr) ?? [];
  if (program === undefined) return undefined;
  const why =
    reason === 'exec format error'
      ? `${program}: neither a program for this machine nor a script with a #! line`
      : `the interpreter of ${program} is missing (its #! line, or its dynamic linker)`;
  return new BuildError('EXEC_NOT_STARTED', { command: args.join(' '), reason: why });
}

/** The words of runc and crun in ours, where the fault is the spec's. */
function reasonOf(text: string, { args: [program = ''], env, cwd }: RuntimeSpec['process']): string | undefined {
  if (/\bcwd\b|chdir|current working directory/.test(text) || text.includes(`mkdir ${cwd}:`))
    return `working directory ${cwd}: ${text}`;
  if (!/\bexec\b|executable/.test(text)) return undefined;
  const path = env.find((each) => each.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  if (text.includes('executable file not found')) return `${JSON.stringify(program)} is not in PATH (${path})`;
  if (text.includes('no such file or directory')) return `${program}: no such file`;
  if (text.includes('permission denied')) return `${program}: permission denied`;
  if (text.includes('is a directory')) return `${program}: is a directory`;
  if (text.includes('exec format error'))
    return `${program}: neither a program for this machine nor a script with a #! line`;
  return `${program}: ${text}`;
}
