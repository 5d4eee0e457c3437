import { BuildError } from '../core/error.ts';

/** A command line that cannot be understood: exit status 2. */
export function usageError(problem: string, suggestion?: string): BuildError<'USAGE'> {
  return new BuildError('USAGE', { problem, ...(suggestion === undefined ? {} : { suggestion }) });
}
