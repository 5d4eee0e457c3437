import { isBuildError, type BuildError } from '../../src/core/error.ts';

/** The `BuildError` that `action` throws. */
export function thrown(action: () => unknown): BuildError {
  try {
    action();
  } catch (error) {
    if (isBuildError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
