import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { CopyAction, FileOp } from '../../src/core/graph.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { FileOpRequest } from '../../sandbox/file-jobs.ts';
import { runFileOp } from '../../sandbox/run-file-op.ts';
import { writeLayerTar } from '../../sandbox/layer-diff.ts';
import { linkPackedTar, unpackLayer } from '../../sandbox/packed-layer.ts';
import { contextOf } from '../contracts/file-backend.ts';
import { seen } from '../contracts/snapshotter.ts';
import { describeWith } from '../support/requires.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';
import { openTemp, type TemporaryDirectory } from '../support/temp.ts';

const context = { checkpoint: () => undefined, beforeRead: () => undefined };

function copyOf(sources: readonly string[], dest: string, change: Partial<CopyAction> = {}): CopyAction {
  return { type: 'copy', from: 1, sources, dest, exclude: [], parents: 'drop', unpack: 'never', ...change };
}

const opOf = (action: CopyAction): FileOp => ({ kind: 'file', base: 'input', actions: [action] });

/** All about every file below a directory but change and access times, inodes and blocks; hard links by their number. */
function listing(directory: string): string {
  const shown = execFileSync(
    'find',
    ['.', '-mindepth', '1', '-printf', String.raw`%P\t%y\t%m\t%U:%G\t%n\t%s\t%T@\t%l\n`],
    {
      cwd: directory,
      encoding: 'latin1',
    },
  );
  // The size of a directory is the file system's affair.
  return shown
    .split('\n')
    .map((line) => line.replace(/\td\t(\d+)\t(\S+)\t\d+\t\d+\t/, '\td\t$1\t$2\t'))
    .toSorted()
    .join('\n');
}

/** Both ways to do one operation. */
async function bothWays(
  temp: TemporaryDirectory,
  request: Pick<FileOpRequest, 'op' | 'inputs'>,
): Promise<{ readonly form: string; readonly tars: readonly Buffer[]; readonly listings: readonly string[] }> {
  const [base] = request.inputs;
  const lower = base?.kind === 'layers' && request.op.base === 'input' ? base.directories : [];
  const places = ['a', 'b', 'c'].map((name) => temp.at(`${name}-${Math.random().toString(36).slice(2)}`));
  const [one = '', two = '', three = ''] = places;
  for (const place of places) mkdirSync(place);
  for (const place of places) mkdirSync(join(place, 'upper'), { mode: 0o755 });
  const common = { ...request, xattrs: 'trusted', statCache: temp.at('cache'), nowSeconds: 1_700_000_000 } as const;
  const packed = join(one, 'packed');
  const { form, read } = await runFileOp({ ...common, upper: join(one, 'upper'), packed }, context);
  const unpackedRun = await runFileOp(
    { ...common, upper: join(two, 'upper'), packed: join(two, 'packed'), form: 'unpacked' },
    context,
  );
  expect(unpackedRun.form).toBe('unpacked');
  expect(unpackedRun.read).toEqual(read);
  const tarOf = (layer: string, to: string): Buffer => {
    writeLayerTar({ layer, lower, to, epochSeconds: undefined }, context);
    return readFileSync(to);
  };
  const expected = tarOf(join(two, 'upper'), join(two, 'tar'));
  if (form === 'unpacked') {
    return { form, tars: [tarOf(join(one, 'upper'), join(one, 'tar')), expected], listings: [] };
  }
  linkPackedTar(packed, join(one, 'tar'));
  unpackLayer({ packed, upper: join(three, 'upper'), xattrs: 'trusted' }, context);
  return {
    form,
    tars: [readFileSync(join(one, 'tar')), expected, tarOf(join(three, 'upper'), join(three, 'tar'))],
    listings: [listing(join(three, 'upper')), listing(join(two, 'upper'))],
  };
}

type Node =
  | { readonly kind: 'file'; readonly content: string; readonly mode: number; readonly mtime: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'hard' }
  | { readonly kind: 'fifo' }
  | { readonly kind: 'directory'; readonly mode: number; readonly owner: number };

const name = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom('a', 'b', 'a.b', 'ab', 'A', 'ü', 'n'.repeat(120), 'etc', 'sub') },
  fc.constant('.wh.x'),
);
const node: fc.Arbitrary<Node> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('file' as const),
      content: fc.string({ maxLength: 2000 }),
      mode: fc.constantFrom(0o644, 0o600, 0o4755, 0o777),
      mtime: fc.double({ min: 0, max: 2 ** 32, noNaN: true }),
    }),
  },
  fc.record({ kind: fc.constant('link' as const), target: fc.constantFrom('a', '/etc', '../x', 'nowhere') }),
  fc.record({ kind: fc.constant('hard' as const) }),
  fc.record({ kind: fc.constant('fifo' as const) }),
  fc.record({
    kind: fc.constant('directory' as const),
    mode: fc.constantFrom(0o755, 0o700, 0o2775),
    owner: fc.constantFrom(0, 1000),
  }),
);
const tree = fc.array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 4 }), node), { maxLength: 14 });

/** Whether no symbolic link is on the way to a path, nor at its end. */
function staysInside(root: string, path: readonly string[]): boolean {
  const ways = path.map((_, index) => join(root, ...path.slice(0, index + 1)));
  return ways.every((way) => lstatSync(way, { throwIfNoEntry: false })?.isSymbolicLink() !== true);
}

/** Makes as much of it as can be made. */
function plant(root: string, nodes: readonly (readonly [readonly string[], Node])[]): void {
  let file: string | undefined;
  for (const [path, each] of nodes) {
    const at = join(root, ...path);
    try {
      // Links lead out of the tree, to the host's own directories.
      if (!staysInside(root, path)) continue;
      mkdirSync(dirname(at), { recursive: true });
      if (each.kind === 'file') {
        writeFileSync(at, each.content, { flag: 'wx' });
        execFileSync('chmod', [each.mode.toString(8), at]);
        lutimesSync(at, each.mtime, each.mtime);
        file = at;
      } else if (each.kind === 'link') symlinkSync(each.target, at);
      else if (each.kind === 'hard' && file !== undefined) linkSync(file, at);
      else if (each.kind === 'fifo') execFileSync('mkfifo', [at], { stdio: 'ignore' });
      else if (each.kind === 'directory') {
        mkdirSync(at, { recursive: true });
        execFileSync('chown', [`${each.owner}:${each.owner}`, at]);
        execFileSync('chmod', [each.mode.toString(8), at]);
      }
    } catch {
      // Something else is there already.
    }
  }
}

const options = fc.record(
  {
    exclude: fc.constantFrom<readonly string[]>(['a'], ['**/b'], ['sub/*', '!sub/a']),
    parents: fc.constantFrom('keep' as const),
    owner: fc.constantFrom({ user: '7', group: '8' }),
    mode: fc.constantFrom<CopyAction['mode'] & {}>(0o711, 'u=rwX,go=rX'),
  },
  { requiredKeys: [] },
);
const sources = fc.constantFrom<readonly string[]>(
  ['/'],
  ['/'],
  ['/'],
  ['/sub'],
  ['/a', '/b'],
  ['/*'],
  ['/sub', '/a.b', '/etc'],
  ['/a'],
);
const dest = fc.constantFrom('/', '/x', '/x/', '/sub/deep/', '/etc', '/l/y/', '/a');
const copies = fc.record({ sources, dest, options });

describeWith(['root', 'overlay'], 'packed layers', () => {
  it('are byte for byte the tars of the unpacked ones, and unpack to the same directory', async () => {
    const forms = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(tree, tree, copies, async (above, below, { sources: from, dest: to, options: change }) => {
        using temp = openTemp();
        const root = temp.at('context');
        const lower = temp.at('lower');
        for (const directory of [root, lower, join(root, 'sub'), join(lower, 'sub')]) mkdirSync(directory);
        plant(root, above);
        plant(lower, below);
        plant(lower, [[['l'], { kind: 'link', target: '/etc' }]]);
        // Large enough to be worth it.
        if (!from.includes('/'))
          plant(root, [[['a'], { kind: 'file', content: 'x'.repeat(1 << 20), mode: 0o644, mtime: 5 }]]);
        const inputs: FileOpRequest['inputs'] = [
          { kind: 'layers', directories: [lower] },
          { kind: 'local', name: 'context', root, ignore: [], ignoreFile: '.dockerignore' },
        ];
        try {
          const { form, tars, listings } = await bothWays(temp, { op: opOf(copyOf(from, to, change)), inputs });
          forms.set(form, (forms.get(form) ?? 0) + 1);
          for (const tar of tars) expect(tar.equals(tars[0] ?? tar)).toBe(true);
          expect(listings[0]).toBe(listings[1]);
        } catch (error) {
          forms.set('failed', (forms.get('failed') ?? 0) + 1);
          if (
            !(error instanceof Error) ||
            !('code' in error) ||
            !/COPY_INVALID|PATH_INVALID|SOURCE_NOT_FOUND|LAYER_INVALID/.test(String(error.code))
          )
            throw error;
        }
      }),
      { numRuns: 100 },
    );
    // Most are packed, some cannot be.
    expect(forms.get('packed')).toBeGreaterThan(25);
  }, 120_000);

  it('stay packed below copies that go elsewhere, and unpack for whoever needs their files', async () => {
    await using rig = await openSandboxRig('overlay');
    using temp = openTemp();
    const source = contextOf(temp, { 'd/f': 'F', 'd/in/g': 'G', h: 'H', 'other/x': 'X' });
    const { files, layers, snapshotter } = rig.sandbox;
    const run = (stack: readonly LayerId[], action: CopyAction): Promise<LayerId> =>
      files.run(opOf(action), [{ kind: 'layers', stack }, source]);
    const isPacked = (layer: LayerId): boolean => !existsSync(join(rig.stateDir, 'layers', layer, 'fs'));
    const one = await run([], copyOf(['/d'], '/to'));
    const two = await run([one], copyOf(['/other'], '/elsewhere'));
    const three = await run([one, two], copyOf(['/h'], '/to/h'));
    const root = await run([], copyOf(['/d'], '/'));
    const onRoot = await run([root], copyOf(['/h'], '/in'));
    expect(isPacked(root)).toBe(false);
    expect(await seen(rig.sandbox, [root, onRoot], 'cat in/h f')).toBe('HF');
    expect([one, two, three].map(isPacked)).toEqual([true, true, false]);
    expect(await snapshotter.has(one)).toBe(true);
    expect((await snapshotter.usage(one)).bytes).toBeGreaterThan(2048);
    expect(await files.resolveUser([one, two], '5')).toMatchObject({ uid: 5 });
    expect(await files.readFile([one, two], '/etc/passwd', { maxBytes: 10 })).toBeUndefined();
    await layers.writeTar(three, [one, two], { to: temp.at('three') });
    const tar = await layers.writeTar(one, [], { to: temp.at('one') });
    await expect(layers.writeTar(one, [], { to: temp.at('one') })).rejects.toMatchObject({ code: 'EEXIST' });
    expect(digestOf(readFileSync(temp.at('one')))).toBe(tar.diffId);
    expect([one, two].map(isPacked)).toEqual([true, true]);
    await expect(run([one, two], copyOf(['/h'], '/to/f/'))).rejects.toMatchObject({ code: 'COPY_INVALID' });
    expect([one, two].map(isPacked)).toEqual([false, false]);
    expect(await seen(rig.sandbox, [one, two, three], 'cat to/f to/in/g to/h elsewhere/x')).toBe('FGHX');
    expect(await layers.writeTar(one, [], { to: temp.at('again') })).toEqual(tar);
    await snapshotter.remove(one);
    expect(await snapshotter.has(one)).toBe(false);
  });

  it('a tar that was changed on disk is found when it is unpacked', async () => {
    await using rig = await openSandboxRig('overlay');
    using temp = openTemp();
    const source = contextOf(temp, { 'd/f': 'original' });
    const layer = await rig.sandbox.files.run(opOf(copyOf(['/d'], '/')), [{ kind: 'layers', stack: [] }, source]);
    const tar = join(rig.stateDir, 'layers', layer, 'packed', 'layer.tar');
    writeFileSync(tar, readFileSync(tar, 'latin1').replace('original', 'imposter'), 'latin1');
    await expect(rig.sandbox.snapshotter.view([layer])).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});
