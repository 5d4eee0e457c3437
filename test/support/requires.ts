import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

/** `root`, `overlay` and `loop` (devices) are what the words say; anything else is a program that must be in PATH. */
export type Need = 'root' | 'overlay' | 'loop' | (string & {});

/** Why the tests that need all this cannot run here; `undefined` where they can. `TSBUILD_TEST_REQUIRE=all` lets nothing be missing. */
export function missing(...needs: readonly Need[]): string | undefined {
  const reasons = needs.map(reasonAgainst).filter((reason) => reason !== undefined);
  if (reasons.length === 0) return undefined;
  if (process.env['TSBUILD_TEST_REQUIRE'] === 'all') throw new Error(`missing here: ${reasons.join('; ')}`);
  return reasons.join('; ');
}

/** A `describe` for tests that need something of the machine: where that is missing they are skipped, and their name says why. */
export function describeWith(needs: readonly Need[], name: string, tests: () => void): void {
  const reason = missing(...needs);
  const register = reason === undefined ? describe : describe.skip;
  register(reason === undefined ? name : `${name} (skipped: ${reason})`, tests);
}

function reasonAgainst(need: Need): string | undefined {
  if (need === 'root') return process.geteuid?.() === 0 ? undefined : 'not root';
  if (need === 'overlay') {
    return /\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8')) ? undefined : 'no overlay filesystem';
  }
  if (need === 'loop') return existsSync('/dev/loop-control') ? undefined : 'no loop devices';
  return findProgram(need) === undefined ? `no program ${need}` : undefined;
}

function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
