import { resolve } from 'node:path';
import { runProgram } from './run-program.ts';

const root = resolve(import.meta.dirname, '../..');

/** The program that `npm run build` makes. */
export const tsbuildPath: string = resolve(root, 'dist/tsbuild.js');

/**
 * Looks whether dist/ is there and no older than the sources, and else builds it. The first test file of a run does so under a lock and
 * notes the run (vitest is the parent of every worker); the others take what it left, so that dist/ stays the same throughout a run.
 */
const SCRIPT = `
note=node_modules/.tsbuild-dist-run
[ "$(cat "$note" 2>/dev/null)" = "$1" ] && [ -e dist/tsbuild.js ] && exit 0
if [ ! -e dist/tsbuild.js ] ||
   find src frontend solver sandbox .scripts package.json -type f -newer dist/tsbuild.js | grep -q .
then npm run --silent build || exit 1
fi
echo "$1" > "$note"
`;

let built: Promise<void> | undefined;

/** Makes sure that dist/ is what the sources say; tests that start no tsbuild do not pay for it. */
export function buildDist(): Promise<void> {
  built ??= build();
  return built;
}

async function build(): Promise<void> {
  const lock = ['node_modules/.tsbuild-dist-lock', 'sh', '-c', SCRIPT, 'sh', `${process.ppid}`];
  const { status, stdout, stderr } = await runProgram('flock', lock, { cwd: root });
  if (status !== 0) throw new Error(`dist/ could not be built:\n${stdout}${stderr}`);
}
