import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { openFileServer } from '../support/file-server.ts';
import { hostArchitecture } from '../support/oci-image.ts';
import type { Person } from '../support/person.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, type Rig } from '../support/rig.ts';
import { type ProgramResult, runProgram } from '../support/run-program.ts';
import { expectFiles, unpackImage } from '../support/unpacked-image.ts';
import { type ValidImage, validateLayout } from '../support/validate-layout.ts';
import { type Case, type CaseBuild, caseFile, placeContext, readCases, substitute } from './read-case.ts';

describeWith(
  ['root', 'umoci', 'skopeo', 'docker-registry', 'busybox', 'setcap', 'setpriv', 'newuidmap'],
  'e2e cases',
  () => {
    let registry: BusyboxRegistry;
    beforeAll(async () => {
      registry = await openBusyboxRegistry();
    });
    afterAll(() => registry[Symbol.asyncDispose]());

    const cases = readCases().map(([name, test]) => ({ name, says: test.says, test }));
    it.each(cases)('$name: $says', ({ name, test }) => check('root', name, test));
    it.each(cases.filter(({ name }) => AS_USER.has(name)))('as an ordinary user: $name: $says', ({ name, test }) =>
      check('user', name, test),
    );

    async function check(person: Person, name: string, test: Case): Promise<void> {
      await using rig = await openRig({ person });
      await using server = await openFileServer(caseFile(name, 'served'));
      const context = await placeContext(name, rig.work);
      const values = { CONTEXT: context, REGISTRY: registry.host, URL: server.url, ARCH: hostArchitecture };
      const build = builder(rig, { name, context, values, flags: registry.flags });
      for (const first of test.before ?? [])
        expect(await build(first), 'the build before').toMatchObject({ status: 0 });
      const layout = join(rig.work, 'layout');
      const wanted = test.error === undefined ? ['-t', 'case:latest', '-o', `type=oci,tar=false,dest=${layout}`] : [];
      const result = await build({ ...test, args: [...wanted, ...(test.args ?? [])] });
      expectTexts(result, test, values);
      if (test.error === undefined)
        await expectImage(layout, JSON.parse(substitute(JSON.stringify(test), values)) as Case);
    }
  },
);

/** What runs steps, or depends on owners: the rest is the same code for everybody, as test/e2e/rootless.test.ts holds by digest. */
const AS_USER: ReadonlySet<string> = new Set(
  `
  add-archive copy-capability copy-chown copy-from copy-link copy-setuid user workdir error-run-fails
  error-run-killed heredoc-run onbuild-image sandbox whiteouts mount-bind mount-cache mount-cache-from
  mount-secret mount-tmpfs run-mount-points run-network-none run-options run-persistent-paths
  security-insecure
`
    .trim()
    .split(/\s+/),
);

interface Placement {
  readonly name: string;
  readonly context: string;
  readonly values: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
}

function builder(rig: Rig, { name, context, values, flags }: Placement): (build: CaseBuild) => Promise<ProgramResult> {
  return async (build) => {
    const args = (build.args ?? []).map((arg) => substitute(arg, values));
    const env = Object.entries(build.env ?? {}).map(([key, value]) => [key, substitute(value, values)]);
    return rig.run(['build', '--progress=plain', ...flags, ...args, substitute(build.context ?? context, values)], {
      cwd: context,
      env: Object.fromEntries(env) as Record<string, string>,
      ...(build.stdin === undefined
        ? {}
        : { stdin: await readFile(resolve(caseFile(name, '.'), substitute(build.stdin, values))) }),
    });
  };
}

function expectTexts(result: ProgramResult, test: Case, values: Readonly<Record<string, string>>): void {
  expect(result, result.stderr).toMatchObject({ status: test.error?.status ?? 0 });
  const wanted = [...(test.error?.text ?? []), ...(test.stderr ?? [])];
  for (const text of wanted) expect(result.stderr).toContain(substitute(text, values));
  if (test.error?.code !== undefined) expect(result.stderr).toMatch(new RegExp(`\\b${test.error.code}\\b`));
  for (const text of test.notStderr ?? []) expect(result.stderr).not.toContain(text);
}

async function expectImage(layout: string, test: Case): Promise<void> {
  const images = await validateLayout(layout);
  expect(images).toHaveLength(1);
  const [image] = images as readonly [ValidImage];
  expectConfig(image, test);
  if (test.layerEntries !== undefined)
    expect(image.layers.slice(-test.layerEntries.length).map(({ names }) => names)).toEqual(test.layerEntries);
  const names = image.layers.flatMap((layer) => layer.names.map((name) => name.replace(/\/$/, '')));
  for (const absent of test.absentFromLayers ?? []) expect(names).not.toContain(absent);
  await using unpacked = await unpackImage(layout, image.refName ?? 'latest');
  await expectFiles(unpacked.rootfs, test.files ?? {});
  for (const text of test.nowhere ?? []) {
    expect(JSON.stringify(image.config)).not.toContain(text);
    const search = await runProgram('grep', [
      '--recursive',
      '--files-with-matches',
      '--fixed-strings',
      text,
      unpacked.rootfs,
    ]);
    expect(search.stdout, `files with ${text}`).toBe('');
  }
}

function expectConfig({ config }: ValidImage, test: Case): void {
  const { config: container } = config;
  for (const [key, value] of Object.entries(test.config ?? {})) {
    if (value === null) expect(container, key).not.toHaveProperty([key]);
    else expect(container, key).toMatchObject({ [key]: value });
  }
  if (test.image !== undefined) expect(config).toMatchObject(test.image);
  const created = config.history.map((step) => step.created_by ?? '');
  if (test.history !== undefined) expect(created.slice(-test.history.length)).toEqual(test.history);
  const base = created.filter((text) => text.startsWith('ADD docker.io/library/busybox')).length;
  if (test.layers !== undefined) expect(config.rootfs.diff_ids).toHaveLength(base + test.layers);
}
