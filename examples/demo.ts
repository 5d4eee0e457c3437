/**
 * `npm run demo`: builds examples/demo with a base that this machine itself provides, so that no registry is needed.
 * The base is a handful of programs (a shell, cat, ls, grep …) with the libraries that they are linked to.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const PROGRAMS = [
  'sh',
  'cat',
  'chmod',
  'chown',
  'echo',
  'env',
  'grep',
  'head',
  'id',
  'ls',
  'mkdir',
  'rm',
  'sleep',
  'sort',
  'tr',
  'uname',
  'wc',
];

const here = import.meta.dirname;
const tsbuild = join(here, '..', 'dist', 'tsbuild.js');
const work = mkdtempSync(join(tmpdir(), 'tsbuild-demo-'));
try {
  cpSync(join(here, 'demo', 'Dockerfile'), join(work, 'Dockerfile'));
  gatherTools(join(work, 'rootfs'));
  const options = process.argv.slice(2);
  process.exitCode =
    run(['-t', 'demo:latest', ...options, work]) || run(['history', 'demo:latest', ...storeAmong(options)]);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** @returns the exit status of tsbuild with these arguments. */
function run(args: readonly string[]): number {
  return spawnSync(process.execPath, [tsbuild, ...args], { stdio: 'inherit' }).status ?? 1;
}

/** The option `--store DIR` among the build's options. */
function storeAmong(options: readonly string[]): readonly string[] {
  const at = options.indexOf('--store');
  return at === -1 ? [] : options.slice(at, at + 2);
}

/** Copies the programs and all libraries that the dynamic linker would load for them, each at the path where the linker looks for it. */
function gatherTools(rootfs: string): void {
  mkdirSync(join(rootfs, 'usr', 'bin'), { recursive: true });
  symlinkSync('usr/bin', join(rootfs, 'bin'));
  for (const program of PROGRAMS) {
    const path = findProgram(program);
    cpSync(realpathSync(path), join(rootfs, 'usr', 'bin', program));
    for (const library of librariesOf(path)) {
      const to = join(rootfs, library);
      if (existsSync(to)) continue;
      mkdirSync(dirname(to), { recursive: true });
      cpSync(realpathSync(library), to);
    }
  }
}

function findProgram(name: string): string {
  const path = ['/usr/bin', '/bin'].map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`the demo needs the program ${basename(name)} in /usr/bin`);
  return path;
}

/** The absolute paths in what `ldd` prints: libraries, and the dynamic linker itself. */
function librariesOf(program: string): readonly string[] {
  const output = execFileSync('/usr/bin/ldd', [program], { encoding: 'utf8' });
  return [...output.matchAll(/(?:=>\s*|^\s*)(\/\S+)\s+\(0x/gm)].flatMap((match) => match[1] ?? []);
}
