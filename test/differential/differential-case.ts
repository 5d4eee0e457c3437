import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { openFileServer } from '../support/file-server.ts';
import { type TreeLiteral, writeTree } from '../support/tree.ts';
import { type Builders, type BuildOutcome, openBuilders } from './builders.ts';
import type { BuiltImage } from './built-image.ts';
import { compareImages, type Difference, formatDifference } from './compare-images.ts';
import { type Deviation, type DeviationName, DEVIATIONS } from './deviations.ts';
import { contentOf, type RootFile } from './merged-rootfs.ts';

/** One Dockerfile that both builders build. */
export interface DifferentialCase {
  /** Subject and behaviour; the test's name. */
  readonly says: string;
  readonly dockerfile: string;
  readonly context?: TreeLiteral;
  /** A shell script that completes the context, for what a literal cannot say. */
  readonly prepare?: string;
  /** What a web server has; `{URL}` in the Dockerfile is its address. */
  readonly served?: TreeLiteral;
  /** Images that both make first: Dockerfiles by image name, with the same context. */
  readonly bases?: Readonly<Record<string, string>>;
  /** Flags of both builders; `{CONTEXT}` is the context's path. */
  readonly args?: readonly string[];
  /** Flags that only tsbuild has. */
  readonly tsbuildArgs?: readonly string[];
  /** Why buildah is no witness here; then the expectations, written by hand from dockerfile.md, are all there is. */
  readonly alone?: string;
  /** The known deviations that show here. */
  readonly deviations?: readonly DeviationName[];
  readonly expected?: ExpectedImage;
  /** The build must fail, and tsbuild's message must have this. */
  readonly fails?: RegExp;
  /** What tsbuild prints besides. */
  readonly prints?: RegExp;
}

/** What dockerfile.md promises, whatever the other builder does. */
export interface ExpectedImage {
  /** By path: `file 644 0:0 "text"`, `directory 755 0:0`, `symlink 0:0 -> target`, `… name=hex` for xattrs; `null` for nothing. */
  readonly files?: Readonly<Record<string, string | null>>;
  /** The names of one file each. */
  readonly hardLinks?: readonly (readonly string[])[];
  readonly mtimes?: Readonly<Record<string, number>>;
  /** Keys of the config; `null` for absence. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly author?: string;
  /** `created_by` of the last steps. */
  readonly history?: readonly string[];
  /** Paths of the entries of the last layer. */
  readonly lastLayer?: readonly string[];
  /** Layers on top of the base's. */
  readonly layers?: number;
}

/** Registers a section of cases; it skips, with the reason, where buildah cannot run. */
export function describeDifferences(section: string, cases: readonly DifferentialCase[]): void {
  describeWith(
    ['root', 'overlay', 'buildah', 'skopeo', 'busybox', 'setcap', 'bzip2', 'xz', 'zstd'],
    `differential, ${section}`,
    () => {
      let builders: Builders;
      beforeAll(async () => {
        builders = await openBuilders();
      });
      afterAll(() => builders[Symbol.asyncDispose]());
      it.each(cases.map((test, at) => ({ ...test, at })))('$says', (test) => checkCase(builders, test));
    },
  );
}

async function checkCase(builders: Builders, test: DifferentialCase & { readonly at: number }): Promise<void> {
  const folder = join(builders.work, `${test.at}`);
  const context = join(folder, 'context');
  await mkdir(join(folder, 'served'), { recursive: true });
  await mkdir(context);
  writeTree(join(folder, 'served'), test.served ?? {});
  await using server = await openFileServer(join(folder, 'served'));
  await writeFile(join(context, 'Dockerfile'), test.dockerfile.replaceAll('{URL}', server.url));
  writeTree(context, test.context ?? {});
  if (test.prepare !== undefined) await checkProgram('sh', ['-euc', test.prepare], { cwd: context });
  await keepBases(builders, { folder, context, bases: test.bases ?? {}, alone: test.alone !== undefined });
  const args = (test.args ?? []).map((arg) => arg.replaceAll('{CONTEXT}', context).replaceAll('{URL}', server.url));
  const [ours, theirs] = await Promise.all([
    builders.tsbuild.build({
      context,
      output: join(folder, 'tsbuild'),
      args: [...args, ...(test.tsbuildArgs ?? []).map((arg) => arg.replaceAll('{CONTEXT}', context))],
    }),
    test.alone === undefined ? builders.buildah.build({ context, args, output: join(folder, 'buildah') }) : undefined,
  ]);
  if (test.prints !== undefined) expect(ours.stderr).toMatch(test.prints);
  if (test.fails === undefined) checkImages(test, ours, theirs);
  else checkFailures(test.fails, ours, theirs);
}

async function keepBases(
  { tsbuild, buildah }: Builders,
  o: { folder: string; context: string; bases: Readonly<Record<string, string>>; alone: boolean },
): Promise<void> {
  for (const [name, dockerfile] of Object.entries(o.bases)) {
    const file = join(o.folder, `${name}.Dockerfile`);
    await writeFile(file, dockerfile);
    const builders = o.alone ? [tsbuild] : [tsbuild, buildah];
    await Promise.all(builders.map((builder) => builder.keep({ context: o.context, file, name })));
  }
}

function checkFailures(pattern: RegExp, ours: BuildOutcome, theirs: BuildOutcome | undefined): void {
  expect(ours.status, 'tsbuild should fail').not.toBe(0);
  expect(ours.stderr).toMatch(pattern);
  if (theirs !== undefined) expect(theirs.status, 'buildah should fail').not.toBe(0);
}

function checkImages(test: DifferentialCase, ours: BuildOutcome, theirs: BuildOutcome | undefined): void {
  expect(ours.status, ours.stderr).toBe(0);
  if (ours.image === undefined) return;
  if (test.expected !== undefined) checkExpected(ours.image, test.expected);
  if (theirs === undefined) return;
  expect(theirs.status, `buildah failed: ${theirs.stderr}`).toBe(0);
  if (theirs.image === undefined) return;
  checkDifferences(test.deviations ?? [], compareImages(ours.image, theirs.image));
}

function checkDifferences(named: readonly DeviationName[], differences: readonly Difference[]): void {
  const known = Object.entries<Deviation>(DEVIATIONS).filter(
    ([name, { where }]) => where === 'everywhere' || named.some((one) => one === name),
  );
  const unknown = differences.filter((one) => !known.some(([, deviation]) => deviation.explains(one)));
  expect(unknown, `no deviation explains\n${unknown.map(formatDifference).join('\n')}`).toEqual([]);
  const idle = known.filter(([, { where, explains }]) => where === 'named' && !differences.some(explains));
  expect(
    idle.map(([name]) => name),
    'deviations that do not show',
  ).toEqual([]);
}

function checkExpected(image: BuiltImage, expected: ExpectedImage): void {
  const files = Object.keys(expected.files ?? {});
  const actual = files.map((path) => [path, describe(image.rootfs.get(path.slice(1)))] as const);
  expect(Object.fromEntries(actual)).toEqual(expected.files ?? {});
  for (const [first = '', ...others] of expected.hardLinks ?? []) {
    for (const other of others) {
      expect(image.rootfs.get(other.slice(1)) === image.rootfs.get(first.slice(1)), `${other} is ${first}`).toBe(true);
    }
  }
  for (const [path, seconds] of Object.entries(expected.mtimes ?? {})) {
    expect(Math.floor(image.rootfs.get(path.slice(1))?.mtime ?? -1), `mtime of ${path}`).toBe(seconds);
  }
  checkConfig(image, expected);
}

function checkConfig(image: BuiltImage, expected: ExpectedImage): void {
  const keys = Object.keys(expected.config ?? {});
  expect(Object.fromEntries(keys.map((key) => [key, image.config[key] ?? null]))).toEqual(expected.config ?? {});
  if (expected.author !== undefined) expect(image.author).toBe(expected.author);
  const created = image.history.map((step) => step.created_by ?? '');
  if (expected.history !== undefined) expect(created.slice(-expected.history.length)).toEqual(expected.history);
  const base = created.filter((text) => text.startsWith('ADD docker.io/library/busybox')).length;
  if (expected.layers !== undefined) expect(image.layers.length - base, 'layers').toBe(expected.layers);
  if (expected.lastLayer !== undefined)
    expect(image.layers.at(-1)?.map(({ path }) => path)).toEqual(expected.lastLayer);
}

function describe(file: RootFile | undefined): string | null {
  if (file === undefined) return null;
  const owner = `${file.uid}:${file.gid}`;
  const xattrs = Object.entries(file.xattrs)
    .map(([name, value]) => ` ${name}=${value}`)
    .join('');
  if (file.type === 'symlink') return `symlink ${owner} -> ${file.link}${xattrs}`;
  const mode = file.mode.toString(8);
  if (file.type === 'file') return `file ${mode} ${owner} ${contentOf(file)}${xattrs}`;
  return `${file.type} ${mode} ${owner}${file.device === '' ? '' : ` ${file.device}`}${xattrs}`;
}
