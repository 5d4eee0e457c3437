import { getSystemErrorMap } from 'node:util';
import { BuildError } from '../src/core/error.ts';
import type { HelperFailure } from './helper-record.ts';

/**
 * The failure of one of the helper's commands in words.
 * @returns EXEC_NOT_STARTED where the spec's program or directory is at fault, KERNEL_FEATURE_MISSING, else SANDBOX_FAILED.
 */
export function helperError(failure: HelperFailure, args: readonly string[]): BuildError {
  const { command, subject, errno, detail } = failure;
  const [code = `errno ${errno}`, meaning = ''] = getSystemErrorMap().get(-errno) ?? [];
  if (command === 'exec') return notStarted(args, execReason(failure, meaning));
  if (command === 'cwd') return notStarted(args, `working directory ${subject}: ${detail || meaning}`);
  const reason = [meaning || code, detail].filter((text) => text !== '').join('; ');
  if (command === 'overlay' && (code === 'ENODEV' || code === 'EPERM')) {
    const remedy = 'choose the copying snapshotter, or a kernel with overlayfs (5.11 or newer without root)';
    return new BuildError('KERNEL_FEATURE_MISSING', { feature: 'overlayfs', reason, remedy });
  }
  if (code === 'ENOSYS') return new BuildError('KERNEL_FEATURE_MISSING', { feature: `${command} ${subject}`, reason });
  return new BuildError('SANDBOX_FAILED', { step: `${command} ${subject}`.trimEnd(), reason });
}

function notStarted(args: readonly string[], reason: string): BuildError {
  return new BuildError('EXEC_NOT_STARTED', { command: args.join(' '), reason });
}

function execReason({ subject, errno, detail }: HelperFailure, meaning: string): string {
  const [code] = getSystemErrorMap().get(-errno) ?? [];
  if (detail === 'interpreter') return `the interpreter of ${subject} is missing (its #! line, or its dynamic linker)`;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return detail === '' ? `${subject}: no such file` : `${JSON.stringify(subject)} is not in PATH (${detail})`;
    case 'ENOEXEC':
      return `${subject}: neither a program for this machine nor a script with a #! line`;
    case 'EISDIR':
      return `${subject}: is a directory`;
    case 'EACCES':
      return `${subject}: permission denied`;
    case 'E2BIG':
      return 'the command is longer than the kernel takes (128 KiB for one argument); a heredoc whose body begins with #! is run from a file';
    case 'ELOOP':
      return `${subject}: leads through a link of /proc`;
    case undefined:
    default:
      return `${subject}: ${meaning}`;
  }
}
