import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, it } from 'vitest';
import type { CopyAction, FileAction, FileOp, Mode } from '../../src/core/graph.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { LocalTree, Selection, Tree } from '../../src/core/tree.ts';
import { describeWith } from '../support/requires.ts';
import { openTemp, type TemporaryDirectory } from '../support/temp.ts';
import { readTree, type TreeLiteral, writeTree } from '../support/tree.ts';
import { tarOf } from './layer-codec.ts';
import { changed, type SandboxUnderTest, seen } from './snapshotter.ts';

/** A context of these files. */
export function contextOf(temp: TemporaryDirectory, tree: TreeLiteral, ignore: readonly string[] = []): LocalTree {
  const root = temp.at(`context-${Math.random().toString(36).slice(2)}`);
  mkdirSync(root, { mode: 0o700 });
  writeTree(root, tree);
  return { kind: 'local', name: 'context', root, ignore, ignoreFile: '.dockerignore' };
}

function copyOf(sources: readonly string[], dest: string, change: Partial<CopyAction> = {}): CopyAction {
  return { type: 'copy', from: 1, sources, dest, exclude: [], parents: 'drop', unpack: 'never', ...change };
}

const whole: Selection = { paths: ['/'], exclude: [], parents: 'drop' };
const opOf = (...actions: readonly FileAction[]): FileOp => ({ kind: 'file', base: 'input', actions });
const layersOf = (...stack: readonly LayerId[]): Tree => ({ kind: 'layers', stack });

const mkdir = (path: string): FileAction => ({
  type: 'mkdir',
  path,
  mode: 0o755,
  owner: { user: '1000', group: '0' },
});

const write = (dest: string, change: Partial<Extract<FileAction, { type: 'write' }>> = {}): FileAction => ({
  type: 'write',
  dest,
  name: 'EOF',
  data: Buffer.from('text'),
  ...change,
});

/** The tree after doing `actions` on `base` with files of `source`, as lines. */
const result = async (
  rig: SandboxUnderTest,
  o: {
    readonly source: Tree;
    readonly actions: readonly FileAction[];
    readonly base?: string;
    readonly clash?: 'replace';
  },
): Promise<Record<string, string>> => {
  const base = await changed(rig.sandbox, [], o.base ?? 'true');
  const op: FileOp = { ...opOf(...o.actions), ...(o.clash !== undefined && { clash: o.clash }) };
  const layer = await rig.sandbox.files.run(op, [layersOf(base), o.source]);
  using out = openTemp();
  await rig.sandbox.files.exportTo([base, layer], out.at('x'));
  const owners = await seen(rig.sandbox, [base, layer], String.raw`find . -mindepth 1 -printf '%P\t%U:%G\n'`);
  const lines = readTree(out.at('x'));
  for (const line of owners.split('\n')) {
    const [path = '', owner = ''] = line.split('\t');
    if (lines[path] !== undefined) lines[path] = lines[path].replace(/ \d+:\d+/, owner === '0:0' ? '' : ` ${owner}`);
  }
  return lines;
};

/** What every file backend does (dockerfile.md 1.6, 1.8, 1.9; the numbers are those of 1.12). */
export function fileBackendContract(name: string, open: () => Promise<SandboxUnderTest>): void {
  describeWith(['root', 'overlay'], `file backend: ${name}`, () => {
    it('copy: a directory gives its contents, a file itself (4)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/a': 'A', 'd/sub/b': 'B', f: 'F' });
      expect(await result(rig, { source, actions: [copyOf(['/d'], '/x'), copyOf(['/f'], '/y/')] })).toEqual({
        x: 'directory 755',
        'x/a': 'file 644 "A"',
        'x/sub': 'directory 755',
        'x/sub/b': 'file 644 "B"',
        y: 'directory 755',
        'y/f': 'file 644 "F"',
      });
    });
    it('copy: slashes decide whether a file goes into the destination or becomes it (5)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/a': 'A', f: 'F' });
      const actions = [
        copyOf(['/f'], '/new'),
        copyOf(['/f'], '/have'),
        copyOf(['/d/.'], '/dot'),
        copyOf(['/d/'], '/slash/'),
        copyOf(['/../../f'], '/up'),
      ];
      expect(Object.keys(await result(rig, { source, actions, base: 'mkdir have' }))).toEqual([
        'dot',
        'dot/a',
        'have',
        'have/f',
        'new',
        'slash',
        'slash/a',
        'up',
      ]);
    });
    it('copy: several sources need a directory', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { a1: '1', a2: '2' });
      await expect(result(rig, { source, actions: [copyOf(['/a1', '/a2'], '/x')] })).rejects.toMatchObject({
        code: 'COPY_INVALID',
      });
      await expect(result(rig, { source, actions: [copyOf(['/a*'], '/x')] })).rejects.toMatchObject({
        code: 'COPY_INVALID',
      });
      for (const second of [copyOf(['/a2'], '/x'), write('/x')])
        await expect(result(rig, { source, actions: [copyOf(['/a1'], '/x'), second] })).rejects.toMatchObject({
          code: 'COPY_INVALID',
        });
      expect(Object.keys(await result(rig, { source, actions: [copyOf(['/a1', '/a2'], '/x/')] }))).toEqual([
        'x',
        'x/a1',
        'x/a2',
      ]);
      expect(Object.keys(await result(rig, { source, actions: [copyOf(['/a?'], '/x')], base: 'mkdir x' }))).toEqual([
        'x',
        'x/a1',
        'x/a2',
      ]);
    });
    it('copy: several sources to one file leave the last, where the operation says so', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { a1: '1', a2: '2', big: 'B'.repeat(1 << 20) });
      const last = async (...actions: readonly FileAction[]): Promise<string | undefined> =>
        (await result(rig, { source, actions, clash: 'replace' }))['x'];
      expect(await last(copyOf(['/a1', '/a2'], '/x'))).toBe('file 644 "2"');
      expect(await last(copyOf(['/a*'], '/x'))).toBe('file 644 "2"');
      expect(await last(copyOf(['/big', '/a1'], '/x'))).toBe('file 644 "1"');
      expect(await last(copyOf(['/a1'], '/x'), write('/x'), write('/x', { mode: 0o600 }))).toBe('file 600 "text"');
    });
    it("copy: an existing destination keeps its attributes, directories in it get the source's (6)", async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/in/f': 'F', 'd/in': { type: 'directory', mode: 0o700 } });
      const base = 'mkdir -p x/in; chmod 711 x; chown 5:5 x x/in; touch x/in/old';
      expect(await result(rig, { source, actions: [copyOf(['/d'], '/x')], base })).toEqual({
        x: 'directory 711 5:5',
        'x/in': 'directory 700',
        'x/in/f': 'file 644 "F"',
        'x/in/old': 'file 644 ""',
      });
    });
    it('copy: a new destination is made as missing parents are, whatever the source directory is like', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/f': 'F', d: { type: 'directory', mode: 0o750 } });
      const lines = await result(rig, {
        source,
        actions: [copyOf(['/d'], '/like'), copyOf(['/d'], '/plain/'), copyOf(['/'], '/all')],
      });
      expect(lines).toMatchObject({
        like: 'directory 755',
        plain: 'directory 755',
        all: 'directory 755',
        'all/d': 'directory 750',
      });
    });
    it('copy: owner and mode hold for all that is made, octal modes for missing parents too (7)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/f': { content: 'F', mode: 0o755 }, 'd/l': { target: 'f' } });
      const owner = { user: '7', group: '8' };
      const lines = await result(rig, {
        source,
        actions: [copyOf(['/d'], '/p/x', { owner, mode: 0o604 }), copyOf(['/d'], '/q/x', { mode: 'u=rwX,go=rX' })],
      });
      expect(lines).toEqual({
        p: 'directory 604 7:8',
        'p/x': 'directory 604 7:8',
        'p/x/f': 'file 604 7:8 "F"',
        'p/x/l': 'symlink 7:8 -> f',
        q: 'directory 755',
        'q/x': 'directory 755',
        'q/x/f': 'file 755 "F"',
        'q/x/l': 'symlink -> f',
      });
    });
    it('copy: names are looked up in the tree, a number is its own group (11)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: 'F' });
      const base = 'mkdir etc; echo app:x:100:101::/home/app:/bin/sh > etc/passwd; echo staff:x:50: > etc/group';
      const owned = async (user: string, group?: string): Promise<string | undefined> =>
        (
          await result(rig, {
            source,
            base,
            actions: [copyOf(['/f'], '/f', { owner: { user, ...(group !== undefined && { group }) } })],
          })
        )['f'];
      expect(await owned('app')).toBe('file 644 100:101 "F"');
      expect(await owned('app', 'staff')).toBe('file 644 100:50 "F"');
      expect(await owned('1000')).toBe('file 644 1000:1000 "F"');
      await expect(owned('nobody')).rejects.toMatchObject({
        code: 'USER_NOT_FOUND',
        message: expect.stringContaining('"nobody" in /etc/passwd') as string,
      });
      await expect(owned('app', 'nogroup')).rejects.toMatchObject({
        code: 'USER_NOT_FOUND',
        detail: { file: '/etc/group' },
      });
    });
    it('copy: unknown names are ignored where the owner says so', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: 'F' });
      const base = 'mkdir etc; echo app:x:100:101::/home/app:/bin/sh > etc/passwd';
      const owned = async (user: string, group?: string): Promise<string | undefined> => {
        const owner = { user, unknown: 'ignore', ...(group !== undefined && { group }) } as const;
        return (await result(rig, { source, base, actions: [copyOf(['/f'], '/f', { owner })] }))['f'];
      };
      expect(await owned('nobody')).toBe('file 644 "F"');
      expect(await owned('nobody', 'nogroup')).toBe('file 644 "F"');
      expect(await owned('app', 'nogroup')).toBe('file 644 100:101 "F"');
      expect(await owned('7', 'nogroup')).toBe('file 644 7:7 "F"');
      expect(await owned('nobody', '5')).toBe('file 644 0:5 "F"');
    });
    it('copy: only the named path is followed, links below are copied as links (8)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, {
        'real/f': 'F',
        'real/l': { target: '/real/f' },
        dir: { target: '/real' },
        file: { target: 'real/f' },
        out: { target: '../../real/f' },
      });
      expect(
        await result(rig, { source, actions: [copyOf(['/dir'], '/d'), copyOf(['/file', '/out'], '/x/')] }),
      ).toEqual({
        d: 'directory 755',
        'd/f': 'file 644 "F"',
        'd/l': 'symlink -> /real/f',
        x: 'directory 755',
        'x/file': 'file 644 "F"',
        'x/out': 'file 644 "F"',
      });
    });
    it('copy: links in the destination are followed inside the tree (9)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: 'F' });
      const base = 'mkdir real; ln -s /real abs; ln -s ../../../real rel; ln -s /gone/here dangling; ln -s loop loop';
      const lines = await result(rig, {
        source,
        base,
        actions: [copyOf(['/f'], '/abs/a'), copyOf(['/f'], '/rel/'), copyOf(['/f'], '/dangling/x')],
      });
      expect(lines).toMatchObject({
        'real/a': 'file 644 "F"',
        'real/f': 'file 644 "F"',
        'gone/here/x': 'file 644 "F"',
        abs: 'symlink -> /real',
      });
      await expect(result(rig, { source, base, actions: [copyOf(['/f'], '/loop/x')] })).rejects.toMatchObject({
        code: 'PATH_INVALID',
      });
    });
    it('copy: files replace files, never through their links; kinds do not mix (14, 15)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: 'new', 'd/x': 'X', 'd/sub/y': 'Y' });
      const base = 'echo old > f; ln f other; mkdir -p x/x t/sub; touch t/sub/z; touch u';
      const lines = await result(rig, { source, base, actions: [copyOf(['/f'], '/'), copyOf(['/d'], '/t')] });
      expect(lines).toMatchObject({
        f: 'file 644 "new"',
        other: 'file 644 "old\\n"',
        't/sub/z': 'file 644 ""',
        't/sub/y': 'file 644 "Y"',
      });
      await expect(result(rig, { source, base, actions: [copyOf(['/d'], '/x')] })).rejects.toMatchObject({
        code: 'COPY_INVALID',
        detail: { path: '/x/x' },
      });
      await expect(result(rig, { source, base, actions: [copyOf(['/d'], '/u')] })).rejects.toMatchObject({
        code: 'COPY_INVALID',
      });
      await expect(result(rig, { source, base, actions: [copyOf(['/f'], '/u/v/w')] })).rejects.toMatchObject({
        code: 'COPY_INVALID',
      });
    });
    it('copy: context files belong to root, files of a stage keep their owners, hard links, modes and attributes (12, 15, 16, 17)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const local = contextOf(temp, { f: { content: 'F', uid: 1000, gid: 1000, mode: 0o4755 } });
      expect(await result(rig, { source: local, actions: [copyOf(['/f'], '/f')] })).toEqual({ f: 'file 4755 "F"' });
      const stage = await changed(
        rig.sandbox,
        [],
        'mkdir d; cp /bin/true d/ping; chown 3:4 d/ping; chmod 4755 d/ping; setcap cap_net_raw+ep d/ping; ln d/ping d/pong; mkfifo d/p; mknod d/n c 1 3',
      );
      const base = await changed(rig.sandbox, [], 'true');
      const layer = await rig.sandbox.files.run(opOf(copyOf(['/d'], '/to')), [layersOf(base), layersOf(stage)]);
      const shown = await seen(rig.sandbox, [base, layer], "stat -c '%n %a %u:%g %h %F' to/*; getcap to/ping");
      expect(shown).toMatch(
        /^to\/n .*character special file\nto\/p .* fifo\nto\/ping 4755 3:4 2 regular file\nto\/pong 4755 3:4 2 regular file\nto\/ping cap_net_raw=ep\n$/,
      );
    });
    it('copy: times are kept to the nanosecond, or are those of the epoch', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/f': 'F' });
      execFileSync('touch', ['-d', '@1600000000.123456789', `${source.root}/d/f`, `${source.root}/d`]);
      const base = await changed(rig.sandbox, [], 'true');
      const kept = await rig.sandbox.files.run(opOf(copyOf(['/'], '/x/')), [layersOf(base), source]);
      expect(await seen(rig.sandbox, [base, kept], 'stat -c %.9Y x/d/f x/d')).toBe(
        '1600000000.123456789\n1600000000.123456789\n',
      );
      const dated = await rig.sandbox.files.run({ ...opOf(copyOf(['/'], '/x/')), epochSeconds: 1000 }, [
        layersOf(base),
        source,
      ]);
      expect(await seen(rig.sandbox, [base, dated], 'stat -c %Y x x/d x/d/f')).toBe('1000\n1000\n1000\n');
    });
    it('copy: wildcards match names, also none; a missing literal is an error (27)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(
        temp,
        { 'a.txt': '1', 'b.txt': '2', '.c.txt': '3', 'd/e.txt': '4', 'g[1]': '5', 'app/Main.ts': '6' },
        ['b.txt', 'hidden'],
      );
      writeTree(source.root, { 'hidden/secret': 's' });
      const names = async (...sources: string[]): Promise<string[]> =>
        Object.keys(await result(rig, { source, actions: [copyOf(sources, '/x/')] }));
      expect(await names('/*.txt')).toEqual(['x', 'x/.c.txt', 'x/a.txt']);
      expect(await names('/*/e.txt')).toEqual(['x', 'x/e.txt']);
      expect(await names(String.raw`/g\[1\]`, '/[!a]*[.]nothing')).toEqual(['x', 'x/g[1]']);
      expect(await names('/no*')).toEqual([]);
      const failure = async (path: string): Promise<string> =>
        names(path).then(
          () => 'no failure',
          (error: unknown) => String(error),
        );
      symlinkSync('nowhere', `${source.root}/dangling.lnk`);
      symlinkSync('hidden/secret', `${source.root}/hidden.lnk`);
      expect(await failure('/dang*.lnk')).toContain('/dangling.lnk');
      expect(await failure('/hidden.*')).toContain('/hidden.lnk');
      expect(await failure('/app/main.ts')).toContain('did you mean "/app/Main.ts"?');
      expect(await failure('/a.tx')).toContain('did you mean "/a.txt"?');
      expect(await failure('/hidden/secret')).toContain('it exists, but .dockerignore:2 excludes it (hidden)');
      expect(await failure('/b.txt')).toContain('excludes it (b.txt)');
      expect(await failure('/a.txt/b')).toContain('is not in the build context');
    });
    it('copy: ignored files do not exist, re-included ones do (24)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(
        temp,
        { 'd/keep/x': 'X', 'd/drop/y': 'Y', 'd/z': 'Z', 'e/f': 'F', l: { target: 'd/z' } },
        ['d', '!d/keep', 'e'],
      );
      expect(Object.keys(await result(rig, { source, actions: [copyOf(['/'], '/o/')] }))).toEqual([
        'o',
        'o/d',
        'o/d/keep',
        'o/d/keep/x',
        'o/l',
      ]);
      await expect(result(rig, { source, actions: [copyOf(['/l'], '/o/')] })).rejects.toMatchObject({
        code: 'SOURCE_NOT_FOUND',
      });
      await expect(result(rig, { source, actions: [copyOf(['/e'], '/o/')] })).rejects.toMatchObject({
        code: 'SOURCE_NOT_FOUND',
      });
    });
    it('copy: --exclude is relative to each source', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, {
        'a/x.png': '1',
        'a/x.txt': '2',
        'a/b/y.png': '3',
        'c.png': '4',
        'home.txt': '5',
        'hold.txt': '6',
      });
      const names = async (sources: string[], exclude: string[]): Promise<string[]> =>
        Object.keys(await result(rig, { source, actions: [copyOf(sources, '/o/', { exclude })] }));
      expect(await names(['/a'], ['*.png'])).toEqual(['o', 'o/b', 'o/b/y.png', 'o/x.txt']);
      expect(await names(['/a'], ['**/*.png'])).toEqual(['o', 'o/b', 'o/x.txt']);
      expect(await names(['/h*'], ['hom*'])).toEqual(['o', 'o/hold.txt']);
      expect(await names(['/'], ['**', '!a/b'])).toEqual(['o', 'o/a', 'o/a/b', 'o/a/b/y.png']);
    });
    it('copy: --exclude spares files that are named, and the digest counts them, where the action says so', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'a/x.log': '1', 'a/y': '2', 'b.log': '3' });
      const spared = { exclude: ['*.log'], excludeNamed: 'copy' } as const;
      const copied = await result(rig, { source, actions: [copyOf(['/a', '/*.log'], '/o/', spared)] });
      expect(Object.keys(copied)).toEqual(['o', 'o/b.log', 'o/y']);
      const digest = (change: Partial<Selection>): Promise<string> =>
        rig.sandbox.files.contentDigest(source, { ...whole, paths: ['/b.log'], exclude: ['*.log'], ...change });
      const before = [await digest({}), await digest(spared)];
      expect(before[0]).not.toBe(before[1]);
      writeFileSync(`${source.root}/b.log`, 'changed');
      expect([await digest({}), await digest(spared)].map((value, i) => value === before[i])).toEqual([true, false]);
    });
    it('copy: --parents keeps the directories behind the pivot', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, {
        'p/a/package.json': '1',
        'p/b/package.json': '2',
        'p/b/src/x': '3',
        'p/b': { type: 'directory', mode: 0o711 },
        other: '4',
      });
      const copied = async (sources: string[], exclude: string[] = []): Promise<Record<string, string>> =>
        await result(rig, { source, actions: [copyOf(sources, '/o', { parents: 'keep', exclude })] });
      expect(await copied(['/p/*/package.json'])).toEqual({
        o: 'directory 755',
        'o/p': 'directory 755',
        'o/p/a': 'directory 755',
        'o/p/a/package.json': 'file 644 "1"',
        'o/p/b': 'directory 711',
        'o/p/b/package.json': 'file 644 "2"',
      });
      expect(Object.keys(await copied(['/p/./b/src']))).toEqual(['o', 'o/b', 'o/b/src', 'o/b/src/x']);
      expect(Object.keys(await copied(['/./**/x', '/other']))).toEqual([
        'o',
        'o/other',
        'o/p',
        'o/p/b',
        'o/p/b/src',
        'o/p/b/src/x',
      ]);
      expect(Object.keys(await copied(['/p/./*/**/nothing*']))).toEqual(['o']);
      await expect(copied(['/p/./c/src'])).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    });
    it('copy: a link cannot lead out of the context', async () => {
      await using rig = await open();
      using temp = openTemp();
      writeFileSync(temp.at('secret'), 'secret');
      const source = contextOf(temp, {
        abs: { target: temp.at('secret') },
        rel: { target: '../secret' },
        dir: { target: '/etc' },
      });
      for (const path of ['/abs', '/rel', '/dir/passwd', '/dir/pass*']) {
        const outcome = await result(rig, { source, actions: [copyOf([path], '/x/')] }).catch(
          (error: unknown) => error,
        );
        if (path.endsWith('*')) expect(outcome).toEqual({});
        else expect(outcome).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
      }
      expect(await result(rig, { source, actions: [copyOf(['/'], '/x/')] })).toMatchObject({
        'x/rel': 'symlink -> ../secret',
      });
    });
    it('copy: names may be any bytes, and long (37)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { x: '' });
      const odd = Buffer.concat([Buffer.from(`${source.root}/bad\n`), Buffer.of(0xff, 0xfe)]);
      writeFileSync(odd, 'odd');
      writeFileSync(`${source.root}/${'é'.repeat(127)}`, 'long');
      const base = await changed(rig.sandbox, [], 'true');
      await rig.sandbox.files.contentDigest(source, whole);
      const layer = await rig.sandbox.files.run(opOf(copyOf(['/'], '/y')), [layersOf(base), source]);
      expect(
        await seen(rig.sandbox, [base, layer], `cd y; cat bad*; cat é*; printf 'bad\\n\\377\\376' | xargs -0 cat`),
      ).toBe('oddlongodd');
      using out = openTemp();
      await rig.sandbox.files.exportTo([layer], out.at('o'));
      expect(existsSync(Buffer.concat([Buffer.from(`${out.at('o')}/y/bad\n`), Buffer.of(0xff, 0xfe)]))).toBe(true);
    });
    it('copy: a file of 9 GiB, mostly holes, has its size and takes no room (38)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { large: 'start' });
      const size = 9 * 2 ** 30;
      truncateSync(`${source.root}/large`, size);
      const base = await changed(rig.sandbox, [], 'true');
      // What may be an archive is not packed straight away, so that nobody has to read all those zeros here.
      const add = copyOf(['/large'], '/y', { unpack: 'auto' });
      const layer = await rig.sandbox.files.run(opOf(add), [layersOf(base), source]);
      expect(await seen(rig.sandbox, [base, layer], 'stat -c %s y; head -c 5 y')).toBe(`${size}\nstart`);
      expect((await rig.sandbox.snapshotter.usage(layer)).bytes).toBeLessThan(1_000_000);
    });
    it('copy: big and sparse files arrive whole (38)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { big: 'x'.repeat(3_000_000) });
      writeFileSync(`${source.root}/sparse`, 'start');
      truncateSync(`${source.root}/sparse`, 50_000_000);
      const base = await changed(rig.sandbox, [], 'true');
      const layer = await rig.sandbox.files.run(opOf(copyOf(['/'], '/y')), [layersOf(base), source]);
      expect(
        await seen(rig.sandbox, [base, layer], 'stat -c %s y/big y/sparse; tail -c1 y/big; head -c5 y/sparse'),
      ).toBe('3000000\n50000000\nxstart');
      expect((await rig.sandbox.snapshotter.usage(layer)).bytes).toBeLessThan(10_000_000);
    });
    it('copy: a context that changed since its digest is refused (trap 41)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { 'd/f': 'F', 'd/g': 'G' });
      const base = await changed(rig.sandbox, [], 'true');
      await rig.sandbox.files.contentDigest(source, { ...whole, paths: ['/d'] });
      writeFileSync(`${source.root}/d/g`, 'H');
      const copying = rig.sandbox.files.run(opOf(copyOf(['/d'], '/x')), [layersOf(base), source]);
      await expect(copying).rejects.toMatchObject({ code: 'CONTEXT_CHANGED', detail: { path: '/d/g' } });
      await rig.sandbox.files.contentDigest(source, { ...whole, paths: ['/d'] });
      await rig.sandbox.files.run(opOf(copyOf(['/d'], '/x')), [layersOf(base), source]);
      rmSync(`${source.root}/d`, { recursive: true });
      writeFileSync(`${source.root}/d`, 'a file now');
      await expect(rig.sandbox.files.run(opOf(copyOf(['/d'], '/x')), [layersOf(base), source])).rejects.toMatchObject({
        code: 'CONTEXT_CHANGED',
      });
    });

    it('add: archives are recognised by content and unpacked like tar -x (28, 29)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const tar = tarOf(
        { path: 'd/', mode: 0o700 },
        { path: 'd/f', content: 'F', uid: 5, gid: 6 },
        { path: 'deep/er/g', content: 'G' },
        { path: 'l', link: '/etc' },
      );
      const bz2 = execFileSync('bzip2', ['-c'], { input: tar });
      const xz = execFileSync('xz', ['-c'], { input: tar });
      const forms: Record<string, Uint8Array> = { tar, gz: gzipSync(tar), zst: zstdCompressSync(tar), bz2, xz };
      for (const [form, bytes] of Object.entries(forms)) {
        const source = contextOf(temp, { archive: { content: bytes } });
        const lines = await result(rig, { source, actions: [copyOf(['/archive'], '/x', { unpack: 'auto' })] });
        expect({ form, lines }).toEqual({
          form,
          lines: {
            x: 'directory 755',
            'x/d': 'directory 700',
            'x/d/f': 'file 644 5:6 "F"',
            'x/deep': 'directory 755',
            'x/deep/er': 'directory 755',
            'x/deep/er/g': 'file 644 "G"',
            'x/l': 'symlink -> /etc',
          },
        });
      }
    });
    it('add: what only looks like an archive is copied, unless unpacking was asked for (28)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, {
        'a.tar.gz': { content: gzipSync('text') },
        'b.tar': 'text',
        'c.gz': { content: Buffer.of(0x1f, 0x8b, 1, 2, 3) },
      });
      const lines = await result(rig, {
        source,
        actions: [copyOf(['/a.tar.gz', '/b.tar', '/c.gz'], '/x/', { unpack: 'auto' })],
      });
      expect(Object.keys(lines)).toEqual(['x', 'x/a.tar.gz', 'x/b.tar', 'x/c.gz']);
      await expect(
        result(rig, { source, actions: [copyOf(['/b.tar'], '/x/', { unpack: 'always' })] }),
      ).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    });
    it('add: an archive goes through links of the tree, and not out of it (29)', async () => {
      await using rig = await open();
      using temp = openTemp();
      writeFileSync(temp.at('canary'), 'untouched');
      const archive = tarOf(
        { path: 'lib/x', content: 'X' },
        { path: 'esc', link: temp.path },
        { path: 'esc/canary', content: 'evil' },
      );
      const source = contextOf(temp, { a: { content: archive } });
      const lines = await result(rig, {
        source,
        base: 'mkdir -p usr/lib real; ln -s /usr/lib lib; ln -s /real abs; chmod 711 real',
        actions: [copyOf(['/a'], '/', { unpack: 'auto' }), copyOf(['/a'], '/abs', { unpack: 'auto' })],
      });
      expect(lines).toMatchObject({
        'usr/lib/x': 'file 644 "X"',
        lib: 'symlink -> /usr/lib',
        'real/lib/x': 'file 644 "X"',
        real: 'directory 711',
      });
      expect(readFileSync(temp.at('canary'), 'utf8')).toBe('untouched');
    });
    it.each([
      ['leaves the destination', tarOf({ path: '../x', content: 'x' })],
      ['holds names of whiteouts', tarOf({ path: 'ok' }, { path: 'd/.wh.x' })],
      ['ends too early', tarOf({ path: 'ok', content: 'x'.repeat(5000) }).subarray(0, 3000)],
    ])('add: an archive that %s is refused', async (_, bytes) => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { a: { content: bytes } });
      await expect(result(rig, { source, actions: [copyOf(['/a'], '/x', { unpack: 'auto' })] })).rejects.toMatchObject({
        code: 'ARCHIVE_INVALID',
        detail: { path: '/a' },
      });
    });
    it('add: owner, mode and exclusions hold inside archives', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, {
        a: { content: tarOf({ path: 'd/' }, { path: 'd/f', content: 'F', uid: 5 }, { path: 'd/g.md' }) },
      });
      const change = { unpack: 'auto', owner: { user: '9' }, mode: 'go-rwx', exclude: ['**/*.md'] } as const;
      expect(await result(rig, { source, actions: [copyOf(['/a'], '/x', change)] })).toEqual({
        x: 'directory 755 9:9',
        'x/d': 'directory 700 9:9',
        'x/d/f': 'file 600 9:9 "F"',
      });
    });

    it('mkdir: makes parents for the owner, leaves what is there (10)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, {});
      const base = 'mkdir -m 700 have; chown 3:3 have; mkdir real; ln -s /real link; touch file';
      expect(
        await result(rig, { source, base, actions: [mkdir('/have/a/b'), mkdir('/have'), mkdir('/link/c')] }),
      ).toEqual({
        file: 'file 644 ""',
        have: 'directory 700 3:3',
        'have/a': 'directory 755 1000:0',
        'have/a/b': 'directory 755 1000:0',
        link: 'symlink -> /real',
        real: 'directory 755',
        'real/c': 'directory 755 1000:0',
      });
      await expect(result(rig, { source, base, actions: [mkdir('/file/x')] })).rejects.toMatchObject({
        code: 'PATH_INVALID',
      });
    });
    it('write: a heredoc becomes a file, or goes into a directory', async () => {
      await using rig = await open();
      using temp = openTemp();
      const actions = [write('/a'), write('/d/'), write('/have', { mode: 0o755, owner: { user: '4' } })];
      expect(await result(rig, { source: contextOf(temp, {}), base: 'mkdir have; echo old > a', actions })).toEqual({
        a: 'file 644 "text"',
        d: 'directory 755',
        'd/EOF': 'file 644 "text"',
        have: 'directory 755',
        'have/EOF': 'file 755 4:4 "text"',
      });
    });
    it.each<[string, Mode | undefined, readonly [string, string, string]]>([
      ['none', undefined, ['755', '600', '644']],
      ['what a heredoc has anyway', 0o644, ['644', '644', '644']],
      ['what parents have anyway', 0o755, ['755', '755', '755']],
      ['octal', 0o600, ['600', '600', '600']],
      ['octal, as text', '0640', ['640', '640', '640']],
      ['symbolic', 'u=rwX,go=rX', ['755', '644', '644']],
      ['symbolic, added to what is there', 'g+w,o-r', ['755', '620', '660']],
    ])('chmod: %s: parents, a copied file (600) and a heredoc', async (_what, mode, [parent, file, document]) => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: { content: 'F', mode: 0o600 } });
      const change = mode === undefined ? {} : { mode };
      const actions = [copyOf(['/f'], '/c/d/f', change), write('/w/d/', change), write('/have/d/x', change)];
      const base = 'mkdir -m 711 have';
      expect(await result(rig, { source, base, actions })).toEqual({
        c: `directory ${parent}`,
        'c/d': `directory ${parent}`,
        'c/d/f': `file ${file} "F"`,
        w: `directory ${parent}`,
        'w/d': `directory ${parent}`,
        'w/d/EOF': `file ${document} "text"`,
        have: 'directory 711',
        'have/d': `directory ${parent}`,
        'have/d/x': `file ${document} "text"`,
      });
    });
    it('run: on an empty tree gives a layer that is independent of the base', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: 'F' });
      const users = await changed(rig.sandbox, [], 'mkdir etc; echo app:x:100:101::/:/ > etc/passwd');
      const op: FileOp = {
        kind: 'file',
        base: 'scratch',
        users: 0,
        actions: [copyOf(['/f'], '/tmp/f', { owner: { user: 'app' } })],
      };
      const layer = await rig.sandbox.files.run(op, [layersOf(users), source]);
      expect(await seen(rig.sandbox, [layer], "find . -mindepth 1 -printf '%P %m %U:%G\n'")).toBe(
        'tmp 755 100:101\ntmp/f 644 100:101\n',
      );
    });
    it('run: nothing is left of an operation that failed or was aborted', async () => {
      await using rig = await open();
      using temp = openTemp();
      const source = contextOf(temp, { f: 'F' });
      const base = await changed(rig.sandbox, [], 'true');
      await expect(
        rig.sandbox.files.run(opOf(copyOf(['/f'], '/f'), copyOf(['/g'], '/g')), [layersOf(base), source]),
      ).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
      const abort = AbortSignal.abort(new Error('the user'));
      await expect(
        rig.sandbox.files.run(opOf(copyOf(['/f'], '/f')), [layersOf(base), source], { signal: abort }),
      ).rejects.toThrow('the user');
    });

    it('contentDigest: changes with names, types, modes, targets and data, not with times or place (13)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const files: TreeLiteral = { 'd/a': 'A', 'd/l': { target: 'a' }, 'd/sub/x': 'X' };
      const digest = (tree: LocalTree, selection = whole): Promise<string> =>
        rig.sandbox.files.contentDigest(tree, selection);
      const tree = contextOf(temp, files);
      const before = await digest(tree);
      const changes: Record<string, () => void> = {
        data: () => writeFileSync(`${tree.root}/d/a`, 'B'),
        size: () => writeFileSync(`${tree.root}/d/a`, 'BB'),
        mode: () => chmodSync(`${tree.root}/d/a`, 0o600),
        name: () => renameSync(`${tree.root}/d/a`, `${tree.root}/d/b`),
        target: () => {
          rmSync(`${tree.root}/d/l`);
          symlinkSync('b', `${tree.root}/d/l`);
        },
        added: () => mkdirSync(`${tree.root}/d/new`),
        'directory mode': () => chmodSync(`${tree.root}/d/sub`, 0o700),
        type: () => {
          rmSync(`${tree.root}/d/sub/x`);
          mkdirSync(`${tree.root}/d/sub/x`);
        },
      };
      const seenDigests = new Set([before]);
      for (const [what, change] of Object.entries(changes)) {
        change();
        const after = await digest(tree);
        expect(seenDigests.has(after), what).toBe(false);
        seenDigests.add(after);
      }
      const elsewhere = contextOf(temp, files);
      chmodSync(elsewhere.root, 0o755);
      utimesSync(`${elsewhere.root}/d/a`, 1, 1);
      expect(await digest(elsewhere)).toBe(before);
      expect(await digest(elsewhere, { ...whole, paths: ['/d'] })).not.toBe(before);
    });
    it('contentDigest: only what is selected counts', async () => {
      await using rig = await open();
      using temp = openTemp();
      const tree = contextOf(temp, { 'a/x': '1', 'b/y': '2', 'c.log': '3', 'a/z.tmp': '4' }, ['*.log']);
      const selection: Selection = { paths: ['/a', '/*.log', '/nothing*'], exclude: ['*.tmp'], parents: 'drop' };
      const before = await rig.sandbox.files.contentDigest(tree, selection);
      writeTree(tree.root, { 'b/y': 'changed', 'c.log': 'changed', 'a/z.tmp': 'changed' });
      expect(await rig.sandbox.files.contentDigest(tree, selection)).toBe(before);
      writeTree(tree.root, { 'a/x': 'changed' });
      expect(await rig.sandbox.files.contentDigest(tree, selection)).not.toBe(before);
      await expect(rig.sandbox.files.contentDigest(tree, { ...selection, paths: ['/gone'] })).rejects.toMatchObject({
        code: 'SOURCE_NOT_FOUND',
      });
    });
    it('contentDigest: kept digests are as good as new ones', async () => {
      await using rig = await open();
      using temp = openTemp();
      const tree = contextOf(temp, { a: 'one', 'd/b': 'two', 'd/c': 'three' });
      const first = await rig.sandbox.files.contentDigest(tree, whole);
      execFileSync('sleep', ['3.1']);
      expect(await rig.sandbox.files.contentDigest(tree, whole)).toBe(first);
      expect(await rig.sandbox.files.contentDigest(tree, whole)).toBe(first);
      // Same size, and the old time put back: only the change time tells.
      const { mtime } = lstatSync(`${tree.root}/a`);
      writeFileSync(`${tree.root}/a`, 'uno');
      utimesSync(`${tree.root}/a`, mtime, mtime);
      const second = await rig.sandbox.files.contentDigest(tree, whole);
      expect(second).not.toBe(first);
      writeFileSync(`${tree.root}/a`, 'one');
      expect(await rig.sandbox.files.contentDigest(tree, whole)).toBe(first);
    });
    it('contentDigest: the same files as a stage and as a context differ in owners only', async () => {
      await using rig = await open();
      using temp = openTemp();
      const local = contextOf(temp, { 'd/a': { content: 'A', uid: 5, gid: 5 } });
      const rooted = await changed(rig.sandbox, [], 'mkdir d; printf A > d/a');
      const owned = await changed(rig.sandbox, [rooted], 'chown 5:5 d/a');
      const selection: Selection = { ...whole, paths: ['/d'] };
      const digest = await rig.sandbox.files.contentDigest(local, selection);
      expect(await rig.sandbox.files.contentDigest(layersOf(rooted), selection)).toBe(digest);
      expect(await rig.sandbox.files.contentDigest(layersOf(rooted, owned), selection)).not.toBe(digest);
    });

    it('readFile: follows links inside the tree, caps the size', async () => {
      await using rig = await open();
      const stack = [
        await changed(
          rig.sandbox,
          [],
          'mkdir etc; echo base > etc/os; ln -s /etc/os l; ln -s /etc/../../../etc/os m; mkfifo p',
        ),
        await changed(rig.sandbox, [], 'mkdir etc; echo top > etc/os'),
      ];
      const read = async (path: string, maxBytes = 100): Promise<string | undefined> => {
        const bytes = await rig.sandbox.files.readFile(stack, path, { maxBytes });
        return bytes && Buffer.from(bytes).toString();
      };
      expect([
        await read('/etc/os'),
        await read('l'),
        await read('m'),
        await read('/gone'),
        await read('/etc'),
        await read('/p'),
      ]).toEqual(['top\n', 'top\n', 'top\n', undefined, undefined, undefined]);
      await expect(read('/etc/os', 3)).rejects.toMatchObject({ code: 'PATH_INVALID' });
      expect(await rig.sandbox.files.readFile([], '/x', { maxBytes: 1 })).toBeUndefined();
    });
    it('resolveUser: as USER is resolved when a step runs', async () => {
      await using rig = await open();
      const passwd = 'root:x:0:0::/root:/bin/sh\\napp:x:100:101::/home/app:/bin/sh\\n12:x:13:14:::\\n';
      const group = 'root:x:0:\\napps:x:101:\\nstaff:x:50:app,other\\nwheel:x:10:app\\n';
      const stack = [
        await changed(rig.sandbox, [], `mkdir etc; printf '${passwd}' > etc/passwd; printf '${group}' > etc/group`),
      ];
      const resolve = (user: string): Promise<unknown> => rig.sandbox.files.resolveUser(stack, user);
      expect(await resolve('')).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: '/root' });
      expect(await resolve('app')).toEqual({ uid: 100, gid: 101, additionalGids: [101, 50, 10], home: '/home/app' });
      expect(await resolve('100')).toEqual({ uid: 100, gid: 101, additionalGids: [101, 50, 10], home: '/home/app' });
      expect(await resolve('app:staff')).toEqual({ uid: 100, gid: 50, additionalGids: [50], home: '/home/app' });
      expect(await resolve('1000')).toEqual({ uid: 1000, gid: 0, additionalGids: [0], home: '/' });
      expect(await resolve('1000:1001')).toEqual({ uid: 1000, gid: 1001, additionalGids: [1001], home: '/' });
      expect(await resolve('12')).toMatchObject({ uid: 13 });
      await expect(resolve('nobody')).rejects.toMatchObject({ code: 'USER_NOT_FOUND' });
      await expect(resolve('app:nogroup')).rejects.toMatchObject({ code: 'USER_NOT_FOUND' });
    });
    it('resolveUser: sees what each further layer does to /etc', async () => {
      await using rig = await open();
      const stack = [await changed(rig.sandbox, [], `mkdir etc; echo app:x:100:101::/home/app:/bin/sh > etc/passwd`)];
      const app = { uid: 100, gid: 101, additionalGids: [101], home: '/home/app' };
      const steps = [
        ['true', app],
        ['touch beside', app],
        ['echo app:x:200:201::/srv:/bin/sh > etc/passwd', { uid: 200, gid: 201, additionalGids: [201], home: '/srv' }],
        ['mkdir -p usr/etc; mv etc/passwd usr/etc; rm -r etc; ln -s usr/etc etc', { uid: 200 }],
        ['sed -i s/200/300/ usr/etc/passwd', { uid: 300 }],
        ['rm etc', undefined],
      ] as const;
      expect(await rig.sandbox.files.resolveUser(stack, 'app')).toEqual(app);
      for (const [script, expected] of steps) {
        stack.push(await changed(rig.sandbox, stack, script));
        const found = await rig.sandbox.files.resolveUser(stack, 'app').catch((error: unknown) => error);
        expect(found, script).toMatchObject(expected ?? { code: 'USER_NOT_FOUND' });
      }
    });
    it('resolveUser: a passwd that is no file, or too large, does not hang or fill memory', async () => {
      await using rig = await open();
      const fifo = await changed(rig.sandbox, [], 'mkdir etc; mkfifo etc/passwd');
      expect(await rig.sandbox.files.resolveUser([fifo], '5')).toMatchObject({ uid: 5 });
      const huge = await changed(rig.sandbox, [], 'mkdir etc; truncate -s 1G etc/passwd');
      await expect(rig.sandbox.files.resolveUser([huge], 'app')).rejects.toMatchObject({ code: 'PATH_INVALID' });
    });

    it('exportTo: writes the tree, never through links of the host directory', async () => {
      await using rig = await open();
      using temp = openTemp();
      writeTree(temp.path, {
        'outside/canary': 'untouched',
        'to/keep': 'kept',
        'to/d': { target: '../outside' },
        'to/f': { target: '../outside/canary' },
      });
      const layer = await changed(
        rig.sandbox,
        [],
        'mkdir d; echo new > d/canary; echo F > f; ln f g; chown 7:7 f; ln -s /etc l; mknod n b 8 0',
      );
      await rig.sandbox.files.exportTo([layer], temp.at('to'));
      expect(readTree(temp.path)).toEqual({
        outside: 'directory 755 0:0',
        'outside/canary': 'file 644 0:0 "untouched"',
        to: 'directory 755 0:0',
        'to/d': 'directory 755 0:0',
        'to/d/canary': 'file 644 0:0 "new\\n"',
        'to/f': 'file 644 0:0 "F\\n"',
        'to/g': 'file 644 0:0 "F\\n"',
        'to/keep': 'file 644 0:0 "kept"',
        'to/l': 'symlink 0:0 -> /etc',
      });
    });
    it('exportTar: the whole tree in byte order, without whiteouts', async () => {
      await using rig = await open();
      using temp = openTemp();
      const stack = [await changed(rig.sandbox, [], 'mkdir -p b/in; touch a b/in/x b-c gone')];
      stack.push(await changed(rig.sandbox, stack, 'rm gone; touch b/y; head -c 5000000 /dev/urandom > z'));
      const chunks = await Array.fromAsync(rig.sandbox.files.exportTar(stack, { epochSeconds: 5 }));
      writeFileSync(temp.at('t'), Buffer.concat(chunks));
      expect(execFileSync('tar', ['-tf', temp.at('t')], { encoding: 'utf8' })).toBe(
        'a\nb/\nb/in/\nb/in/x\nb/y\nb-c\nz\n',
      );
      for await (const _ of rig.sandbox.files.exportTar(stack)) break;
      expect(Buffer.concat(await Array.fromAsync(rig.sandbox.files.exportTar([]))).length).toBe(1024);
    });
  });
}
