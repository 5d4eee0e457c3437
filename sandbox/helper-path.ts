import { existsSync } from 'node:fs';
import { BuildError } from '../src/core/error.ts';

/**
 * Where the compiled native helper is: beside the bundle, or in dist/ when the sources are run as they are.
 * @throws KERNEL_FEATURE_MISSING where it was never built.
 */
export function helperPath(): string {
  const candidates = ['./tsbuild-sandbox', '../dist/tsbuild-sandbox'].map(
    (path) => new URL(path, import.meta.url).pathname,
  );
  const found = candidates.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new BuildError('KERNEL_FEATURE_MISSING', {
    feature: 'the native helper tsbuild-sandbox',
    reason: `it is not at ${candidates.join(' nor at ')}`,
    remedy: 'build it with: npm run build (needs a C compiler), or run steps by an OCI runtime with --runtime',
  });
}
