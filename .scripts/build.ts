/**
 * Builds dist/: the bundle, its type declarations and the native helper. The result is moved into place only when it
 * is complete, so a failing build leaves the last good one, and tests that run meanwhile never see half of one.
 */
import { execFile } from 'node:child_process';
import { chmod, glob, mkdtemp, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const startMs = performance.now();

process.chdir(root);
const output = await mkdtemp(join(root, '.dist-'));
try {
  const parts = await Promise.allSettled([bundle(output), emitDeclarations(output), compileHelper(output)]);
  for (const part of parts) if (part.status === 'rejected') throw part.reason;
  await chmod(output, 0o755);
  await replace('dist', output);
} catch (error) {
  await rm(output, { recursive: true, force: true });
  process.stderr.write(`build failed: ${explain(error)}\n`);
  process.exit(1);
}
process.stdout.write(`built dist/ in ${Math.round(performance.now() - startMs)} ms\n`);

/** All chunks lie flat in dist/, so that `new URL('./file-worker.js', import.meta.url)` holds in each of them. */
async function bundle(outdir: string): Promise<void> {
  const entries = {
    tsbuild: '.scripts/launch.ts',
    index: 'src/index.ts',
    'file-worker': 'sandbox/file-worker.ts',
  };
  await build({
    entryPoints: Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(source))),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // A native addon finds its .node file beside its own package.
    external: ['koffi'],
    // Less to read at every start; names stay, for stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: true,
    legalComments: 'linked',
    // CommonJS dependencies call require() for built-ins; an ES module has none.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  await chmod(join(outdir, 'tsbuild.js'), 0o755);
}

/** Types are checked by `npm run typecheck`, not here. */
async function emitDeclarations(outdir: string): Promise<void> {
  await run('tsc', ['--project', '.scripts/tsconfig.types.json', '--outDir', join(outdir, 'types')]);
}

async function compileHelper(outdir: string): Promise<void> {
  const sources = (await Array.fromAsync(glob('sandbox/native/*.c'))).toSorted();
  if (sources.length === 0) return;
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-static'];
  await run(process.env['CC'] ?? 'cc', [...flags, '-o', join(outdir, 'tsbuild-sandbox'), ...sources]);
}

async function replace(target: string, complete: string): Promise<void> {
  const old = `${complete}-old`;
  if (existsSync(target)) await rename(target, old);
  await rename(complete, target);
  await rm(old, { recursive: true, force: true });
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('path' in error && error.path === (process.env['CC'] ?? 'cc') && 'code' in error && error.code === 'ENOENT') {
    return 'no C compiler found; install one (Debian: apt-get install gcc libc6-dev) or name it in CC';
  }
  // tsc reports on stdout, which execFile leaves out of its message.
  return 'stdout' in error ? `${error.message}\n${String(error.stdout)}` : error.message;
}
