/**
 * The gate: every rule of the project that is a program, then one table. `--static` leaves out the tests.
 * Only what fails prints its output, except for the tests, which always do.
 */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

type Step = { readonly name: string; readonly output: 'captured' | 'shown' };
type Result = { readonly name: string; readonly exitCode: number; readonly elapsedMs: number; readonly output: string };

process.chdir(resolve(import.meta.dirname, '..'));
const results = [await run({ name: 'build', output: 'captured' })];
// The linter and the type checker use all cores themselves, so what is left is run one after the other beside them.
results.push(...(await Promise.all([inOrder('typecheck', 'lint'), inOrder('format:check', 'knip', 'publint')])).flat());
for (const { name, output } of results.filter(({ exitCode }) => exitCode !== 0)) {
  process.stdout.write(`\n--- ${name} ---\n${output}`);
}
if (!process.argv.includes('--static')) results.push(await run({ name: 'test', output: 'shown' }));

process.stdout.write(`\n${results.map(formatResult).join('\n')}\n`);
const failed = results.filter(({ exitCode }) => exitCode !== 0).map(({ name }) => name);
process.stdout.write(failed.length === 0 ? 'check: ok\n' : `check: failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function inOrder(...names: readonly string[]): Promise<Result[]> {
  const done: Result[] = [];
  for (const name of names) done.push(await run({ name, output: 'captured' }));
  return done;
}

async function run({ name, output }: Step): Promise<Result> {
  const startMs = performance.now();
  const child = spawn('npm', ['run', '--silent', name], {
    stdio: ['ignore', ...(output === 'shown' ? (['inherit', 'inherit'] as const) : (['pipe', 'pipe'] as const))],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve: settle, reject } = Promise.withResolvers<number>();
  child.once('error', reject).once('close', (code) => settle(code ?? 1));
  const exitCode = await promise;
  return { name, exitCode, elapsedMs: performance.now() - startMs, output: Buffer.concat(chunks).toString() };
}

function formatResult({ name, exitCode, elapsedMs }: Result): string {
  return `${exitCode === 0 ? 'ok    ' : 'FAILED'}  ${name.padEnd(12)} ${(elapsedMs / 1000).toFixed(1).padStart(6)} s`;
}
