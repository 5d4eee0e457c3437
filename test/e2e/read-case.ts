import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkProgram } from '../support/run-program.ts';
import type { ExpectedFile } from '../support/unpacked-image.ts';

/** A build that goes before the case's own, in the same store and context. */
export interface CaseBuild {
  /** Here and in what is expected `$CONTEXT`, `$REGISTRY`, `$URL` and `$ARCH` stand for what the runner found or made. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A file that goes to standard input, relative to the case's directory. */
  readonly stdin?: string;
  /** In place of the context directory. */
  readonly context?: string;
}

/** `case.json`: what is asked of tsbuild and what must come of it. */
export interface Case extends CaseBuild {
  /** Subject and behaviour: the test's name. */
  readonly says: string;
  readonly before?: readonly CaseBuild[];
  readonly files?: Readonly<Record<string, ExpectedFile>>;
  /** A part of the image config's `config`; `null` for what must be absent. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** A part of the whole image config. */
  readonly image?: Readonly<Record<string, unknown>>;
  /** `created_by` of the last steps, all that the Dockerfile adds. */
  readonly history?: readonly string[];
  /** How many layers lie on top of the base image's. */
  readonly layers?: number;
  /** The names in the tars of the last layers. */
  readonly layerEntries?: readonly (readonly string[])[];
  /** Names that no tar of the image has. */
  readonly absentFromLayers?: readonly string[];
  /** Texts that are nowhere in the image's config, and in no file of its root directory. */
  readonly nowhere?: readonly string[];
  readonly error?: { readonly code?: string; readonly status: number; readonly text?: readonly string[] };
  /** Texts that standard error has or lacks. */
  readonly stderr?: readonly string[];
  readonly notStderr?: readonly string[];
}

const cases = join(import.meta.dirname, 'cases');

/** All cases by directory name. */
export function readCases(): readonly (readonly [string, Case])[] {
  const names = readdirSync(cases).filter((name) => existsSync(join(cases, name, 'case.json')));
  return names
    .toSorted()
    .map((name) => [name, JSON.parse(readFileSync(join(cases, name, 'case.json'), 'utf8')) as Case]);
}

/** The path of a file of a case, as it is in the repository. */
export function caseFile(name: string, file: string): string {
  return join(cases, name, file);
}

/**
 * Copies a case's context (`context/`, Dockerfiles, ignore files) to `work`, gives everything the modes of a fresh checkout, and runs its
 * `prepare.sh` there for what git cannot hold.
 */
export async function placeContext(name: string, work: string): Promise<string> {
  const context = join(work, 'context');
  await mkdir(context);
  if (existsSync(caseFile(name, 'context')))
    await cp(caseFile(name, 'context'), context, { recursive: true, verbatimSymlinks: true });
  for (const file of (await readdir(join(cases, name))).filter((entry) => /Dockerfile|\.dockerignore$/.test(entry))) {
    await cp(caseFile(name, file), join(context, file));
  }
  for (const entry of await readdir(context, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  const script = caseFile(name, 'prepare.sh');
  if (existsSync(script)) await checkProgram('sh', ['-euc', `umask 022; . '${script}'`], { cwd: context });
  return context;
}

/** Puts values in the place of `$NAME`. */
export function substitute(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$([A-Z]+)\b/g, (whole, name: string) => values[name] ?? whole);
}
