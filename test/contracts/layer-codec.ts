import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LayerId, LayerStack } from '../../src/core/snapshot.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { encodeTarEntry, TAR_END, tarPadding } from '../../src/oci/tar-writer.ts';
import type { TarEntry } from '../../src/oci/tar-header.ts';
import { describeWith } from '../support/requires.ts';
import { openTemp } from '../support/temp.ts';
import { changed, type SandboxUnderTest, seen } from './snapshotter.ts';

type EntryLiteral = Partial<Omit<TarEntry, 'path' | 'linkPath' | 'xattrs'>> & {
  readonly path: string;
  readonly link?: string;
  readonly content?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
};

/** A tar of these entries; those with content are files, those with a final slash directories. */
export function tarOf(...entries: readonly EntryLiteral[]): Buffer {
  const blocks = entries.flatMap(({ path, link, content = '', xattrs = {}, ...rest }) => {
    const isDirectory = path.endsWith('/');
    const bytes = Buffer.from(content);
    const header = encodeTarEntry({
      type: link === undefined ? (isDirectory ? 'directory' : 'file') : 'symlink',
      mode: isDirectory ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      mtime: { seconds: 1_000_000_000, nanoseconds: 0 },
      ...rest,
      path: Buffer.from(isDirectory ? path.slice(0, -1) : path),
      size: bytes.length,
      ...(link !== undefined && { linkPath: Buffer.from(link) }),
      xattrs: new Map(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value)])),
    });
    return [header, bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...blocks, TAR_END]);
}

/** The tar in pieces that fall between blocks. */
export async function* pieces(tar: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < tar.length; at += 700) yield tar.subarray(at, at + 700);
}

/** What every layer codec does. */
export function layerCodecContract(name: string, open: () => Promise<SandboxUnderTest>): void {
  describeWith(['root', 'overlay'], `layer codec: ${name}`, () => {
    it('writeTar: of nothing changed is an empty archive', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'mkdir d; echo x > d/f');
      const next = await changed(rig.sandbox, [base], 'true');
      using temp = openTemp();
      expect((await rig.sandbox.layers.writeTar(next, [base], { to: temp.at('t') })).size).toBe(1024);
      expect(readFileSync(temp.at('t')).equals(TAR_END)).toBe(true);
    });
    it('writeTar: refuses to overwrite', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'true');
      using temp = openTemp();
      writeFileSync(temp.at('t'), 'mine');
      await expect(rig.sandbox.layers.writeTar(base, [], { to: temp.at('t') })).rejects.toMatchObject({
        code: 'EEXIST',
      });
      expect(readFileSync(temp.at('t'), 'utf8')).toBe('mine');
    });
    it('writeTar: byte order, parents of what changed, explicit whiteouts', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'mkdir -p etc/sub usr; touch etc/a etc/b etc/sub/x usr/u');
      const next = await changed(
        rig.sandbox,
        [base],
        'rm etc/b; touch etc/B; echo new > etc/sub/y; rm etc/sub/x; touch gone; rm gone',
      );
      expect(await listed(rig, next, [base])).toEqual([
        'etc/',
        'etc/.wh.b',
        'etc/B',
        'etc/sub/',
        'etc/sub/.wh.x',
        'etc/sub/y',
      ]);
    });
    it('writeTar: a directory made anew removes what is gone from it, file by file', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'mkdir -p d/sub; touch d/a d/b d/sub/x d/sub/y');
      const next = await changed(rig.sandbox, [base], 'rm -r d; mkdir -p d/sub; touch d/b d/sub/y');
      expect(await listed(rig, next, [base])).toEqual(['d/', 'd/.wh.a', 'd/b', 'd/sub/', 'd/sub/.wh.x', 'd/sub/y']);
    });
    it('writeTar: a directory hides nothing because of what a step wrote into its attributes', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'mkdir -p d/sub; touch d/a d/sub/b');
      const mark = `python3 -c "import os; [os.setxattr(d, 'user.overlay.opaque', b'y') for d in ('.', 'd', 'd/sub')]"`;
      const next = await changed(rig.sandbox, [base], `${mark}; touch d/sub/new`);
      expect(await listed(rig, next, [base])).toEqual(['d/', 'd/sub/', 'd/sub/new']);
      expect(await seen(rig.sandbox, [base, next], 'find d -type f | sort')).toBe('d/a\nd/sub/b\nd/sub/new\n');
    });
    it('writeTar: whole seconds, no names of users, dates not after the epoch', async () => {
      await using rig = await open();
      const layer = await changed(
        rig.sandbox,
        [],
        'touch -d @1500000000.7 new; touch -d @900000000 old; mkdir d; touch -d @2000000000 d',
      );
      using temp = openTemp();
      await rig.sandbox.layers.writeTar(layer, [], { to: temp.at('t'), epochSeconds: 1_000_000_000 });
      const verbose = execFileSync('tar', ['--numeric-owner', '--full-time', '-tvf', temp.at('t')], {
        encoding: 'utf8',
        env: { TZ: 'UTC', PATH: process.env['PATH'] },
      });
      expect(verbose).toMatch(/2001-09-09 01:46:40 d\/\n.*2001-09-09 01:46:40 new\n.*1998-07-09 16:00:00 old\n$/);
    });
    it('writeTar: hard links, special files, long and odd names, attributes', async () => {
      await using rig = await open();
      const long = 'n'.repeat(200);
      const script = [
        `mkdir ${long}; echo x > ${long}/${long}; ln ${long}/${long} a; printf y > "$(printf 'bad\\377\\nname')"`,
        'mknod dev b 8 1; mkfifo pipe; cp /bin/true ping; setcap cap_net_raw+ep ping',
        "python3 -c \"import os; os.setxattr('ping', 'user.k', b'v'); import socket; socket.socket(socket.AF_UNIX).bind('sock')\"",
      ].join('\n');
      const layer = await changed(rig.sandbox, [], script);
      using temp = openTemp();
      await rig.sandbox.layers.writeTar(layer, [], { to: temp.at('t') });
      const again = await applied(rig, readFileSync(temp.at('t')));
      const look = `stat -c '%n %F %h %t:%T' * | sed s/${long}/long/g; cat a; getcap ping; python3 -c "import os; print(os.listxattr('ping'))"`;
      const shown = await seen(rig.sandbox, [again], look);
      expect(shown).toContain('a regular file 2');
      expect(shown).toContain('dev block special file 1 8:1');
      expect(shown).toContain('pipe fifo');
      expect(shown).toContain("x\nping cap_net_raw=ep\n['security.capability']");
      expect(shown).not.toContain('sock');
      expect(await listed(rig, again, [])).toEqual(await listed(rig, layer, []));
    });
    it('writeTar: what is as it was below stays out, also where it was made anew', async () => {
      await using rig = await open();
      const base = await changed(
        rig.sandbox,
        [],
        'mkdir -p d/sub; echo 1 > d/a; echo 2 > d/b; ln -s a d/l; mkfifo d/p; touch -hd @1000000000 d/*; touch d/sub/new',
      );
      const list = async (script: string): Promise<string[]> =>
        listed(rig, await changed(rig.sandbox, [base], script), [base]);
      expect(await list('chown -hR 0:0 d; chmod 644 d/a; touch d d/sub')).toEqual([]);
      expect(await list('mv d/a x; mv x d/a; touch d/gone; rm d/gone')).toEqual([]);
      expect(await list('cp -a d e; rm -r d; mv e d')).toEqual([]);
      expect(await list('printf "x\n" > d/a; ln -sf b d/l; touch -hd @1000000000 d/a d/l')).toEqual([
        'd/',
        'd/a',
        'd/l',
      ]);
      expect(await list('chmod 600 d/a; chown 1 d/b; touch d/sub/new')).toEqual([
        'd/',
        'd/a',
        'd/b',
        'd/sub/',
        'd/sub/new',
      ]);
      expect(await list('setcap cap_net_raw+ep d/b; rm d/p; mknod d/p p; touch -d @5 d/p')).toEqual([
        'd/',
        'd/b',
        'd/p',
      ]);
      expect(await list('ln d/a d/c')).toEqual(['d/', 'd/c']);
    });
    it('writeTar: a file named like a whiteout is refused', async () => {
      await using rig = await open();
      const layer = await changed(rig.sandbox, [], 'touch .wh.x');
      using temp = openTemp();
      await expect(rig.sandbox.layers.writeTar(layer, [], { to: temp.at('t') })).rejects.toMatchObject({
        code: 'LAYER_INVALID',
      });
      expect(existsSync(temp.at('t'))).toBe(false);
    });
    it('writeTar: sparse files come back whole', async () => {
      await using rig = await open();
      const layer = await changed(rig.sandbox, [], 'truncate -s 3000000 f; printf end >> f');
      using temp = openTemp();
      await rig.sandbox.layers.writeTar(layer, [], { to: temp.at('t') });
      expect(
        await seen(rig.sandbox, [await applied(rig, readFileSync(temp.at('t')))], 'stat -c %s f; tail -c 3 f'),
      ).toBe('3000003\nend');
    });

    it('apply: a file of 9 GiB, mostly holes, has its size and takes no room (38)', async () => {
      await using rig = await open();
      using temp = openTemp();
      const size = 9 * 2 ** 30;
      writeFileSync(temp.at('large'), 'start');
      truncateSync(temp.at('large'), size);
      const create = ['--create', '--sparse', '--format=posix', '--file', temp.at('t'), '-C', temp.at('.'), 'large'];
      execFileSync('tar', create);
      const layer = await applied(rig, readFileSync(temp.at('t')));
      expect(await seen(rig.sandbox, [layer], 'stat -c %s large; head -c 5 large')).toBe(`${size}\nstart`);
      expect((await rig.sandbox.snapshotter.usage(layer)).bytes).toBeLessThan(1_000_000);
    });
    it('apply: owners, modes, times; directories get theirs last', async () => {
      await using rig = await open();
      const layer = await applied(
        rig,
        tarOf(
          { path: 'd/', mode: 0o2750, uid: 1, gid: 2 },
          { path: 'd/s', mode: 0o4711, uid: 3, gid: 4, content: 'x' },
          { path: 'l', link: '/d/s', uid: 5, gid: 6 },
        ),
      );
      const shown = await seen(rig.sandbox, [layer], "stat -c '%n %a %u:%g %Y' d d/s l; readlink l");
      expect(shown).toBe('d 2750 1:2 1000000000\nd/s 4711 3:4 1000000000\nl 777 5:6 1000000000\n/d/s\n');
    });
    it('apply: whiteouts hide what is below, in any order', async () => {
      await using rig = await open();
      const base = await applied(
        rig,
        tarOf({ path: 'd/' }, { path: 'd/a' }, { path: 'd/b' }, { path: 'e/' }, { path: 'e/x' }, { path: 'f' }),
      );
      const next = await applied(
        rig,
        tarOf(
          { path: 'd/new', content: 'n' },
          { path: 'd/.wh..wh..opq' },
          { path: '.wh.e' },
          { path: 'e/' },
          { path: 'e/y' },
          { path: '.wh.f' },
          { path: 'f', content: 'again' },
          { path: '.wh.never' },
        ),
        [base],
      );
      expect(await seen(rig.sandbox, [base, next], 'find . | sort; cat f')).toBe(
        '.\n./d\n./d/new\n./e\n./e/y\n./f\nagain',
      );
    });
    it('apply: an opaque root hides everything below', async () => {
      await using rig = await open();
      const base = await applied(rig, tarOf({ path: 'a/' }, { path: 'a/x' }, { path: 'b' }));
      const next = await applied(rig, tarOf({ path: 'a/' }, { path: 'a/y' }, { path: '.wh..wh..opq' }), [base]);
      expect(await seen(rig.sandbox, [base, next], 'find . | sort')).toBe('.\n./a\n./a/y\n');
    });
    it('apply: parents that are missing are made, links on the way are followed inside the tree', async () => {
      await using rig = await open();
      const base = await applied(
        rig,
        tarOf({ path: 'usr/' }, { path: 'usr/lib/', mode: 0o700 }, { path: 'lib', link: '/usr/lib' }),
      );
      const next = await applied(rig, tarOf({ path: 'lib/a', content: 'a' }, { path: 'x/y/z' }), [base]);
      expect(await seen(rig.sandbox, [base, next], 'cat usr/lib/a; stat -c %a usr/lib x x/y; readlink lib')).toBe(
        'a700\n755\n755\n/usr/lib\n',
      );
    });
    it('apply: later entries replace earlier ones, never through links', async () => {
      await using rig = await open();
      const layer = await applied(
        rig,
        tarOf(
          { path: 'd/' },
          { path: 'd/f' },
          { path: 'l', link: 'd/f' },
          { path: 'l', content: 'own' },
          { path: 'd', content: 'file' },
          { path: 'm', link: 'l' },
          { path: 'm/' },
        ),
      );
      expect(await seen(rig.sandbox, [layer], 'cat l d; stat -c %F m')).toBe('ownfiledirectory\n');
    });
    it('apply: hard links reach files of this layer and of those below', async () => {
      await using rig = await open();
      const base = await applied(rig, tarOf({ path: 'd/' }, { path: 'd/f', content: 'below', mode: 0o600, uid: 7 }));
      const next = await applied(
        rig,
        tarOf(
          { path: 'g', type: 'hardlink', link: 'd/f' },
          { path: 'h', content: 'own' },
          { path: 'i', type: 'hardlink', link: 'h' },
        ),
        [base],
      );
      expect(await seen(rig.sandbox, [base, next], 'cat g i; stat -c "%h %a %u" d/f g; stat -c %h h')).toBe(
        'belowown2 600 7\n2 600 7\n2\n',
      );
    });
    it.each([
      ['a path that leaves', tarOf({ path: '../x' })],
      ['a hard link that leaves', tarOf({ path: 'x', type: 'hardlink', link: '../../etc/passwd' })],
      ['a hard link to nothing', tarOf({ path: 'x', type: 'hardlink', link: 'etc/passwd' })],
      ['a hard link to a directory', tarOf({ path: 'd/' }, { path: 'x', type: 'hardlink', link: 'd' })],
      ['a whiteout of its own parent', tarOf({ path: 'd/.wh...' })],
      [
        'a device that overlayfs takes for a whiteout',
        tarOf({ path: 'x', type: 'character-device', deviceMajor: 0, deviceMinor: 0 }),
      ],
      ['an attribute of overlayfs', tarOf({ path: 'd/', xattrs: { 'trusted.overlay.opaque': 'y' } })],
      [
        'an attribute of overlayfs in user namespaces',
        tarOf({ path: 'd/', xattrs: { 'user.overlay.redirect': '/etc' } }),
      ],
      ['a truncated archive', tarOf({ path: 'x', content: 'x'.repeat(2000) }).subarray(0, 1500)],
      ['no archive', Buffer.alloc(2000, 'no archive')],
    ])('apply: refuses %s, and then no layer is there', async (_, tar) => {
      await using rig = await open();
      await expect(rig.sandbox.layers.apply(pieces(tar), [])).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    });
    it('apply: links cannot lead writes out of the layer', async () => {
      await using rig = await open();
      using host = openTemp();
      writeFileSync(host.at('canary'), 'untouched');
      const layer = await applied(
        rig,
        tarOf(
          { path: 'out', link: host.path },
          { path: 'out/canary', content: 'evil' },
          { path: 'up', link: '../../../../../../..' + host.path },
          { path: 'up/canary', content: 'evil' },
        ),
      );
      expect(readFileSync(host.at('canary'), 'utf8')).toBe('untouched');
      expect(await seen(rig.sandbox, [layer], `cat .${host.path}/canary`)).toBe('evil');
    });
    it('apply: stops when aborted, with the reason', async () => {
      await using rig = await open();
      const abort = new AbortController();
      const endless = async function* (): AsyncGenerator<Uint8Array> {
        const tar = tarOf({ path: 'x', content: 'x'.repeat(1 << 20) });
        for (;;) {
          yield tar.subarray(0, -1024);
          abort.abort(new Error('the user'));
        }
      };
      await expect(rig.sandbox.layers.apply(endless(), [], { signal: abort.signal })).rejects.toThrow('the user');
    });
    it('apply: an error of the source comes through', async () => {
      await using rig = await open();
      await expect(rig.sandbox.layers.apply(broken(), [])).rejects.toThrow('connection lost');
    });

    it('random trees: applying the difference to one gives the other', async () => {
      await using rig = await open();
      await fc.assert(
        fc.asyncProperty(treeScript, treeScript, async (first, second) => {
          using temp = openTemp();
          mkdirSync(temp.at('t'));
          const a = await changed(rig.sandbox, [], first);
          const b = await changed(rig.sandbox, [a], second);
          const copies: LayerId[] = [];
          for (const [layer, lower] of [
            [a, []],
            [b, [a]],
          ] as const) {
            const to = join(temp.path, layer);
            await rig.sandbox.layers.writeTar(layer, lower, { to });
            copies.push((await rig.sandbox.layers.apply(createReadStream(to), copies)).layer);
          }
          expect(await seen(rig.sandbox, copies, lookAtAll)).toBe(await seen(rig.sandbox, [a, b], lookAtAll));
          const nothing = await changed(rig.sandbox, copies, 'true');
          expect((await rig.sandbox.layers.writeTar(nothing, copies, { to: temp.at('nothing') })).size).toBe(1024);
        }),
        { numRuns: 12 },
      );
    });
  });
}

const listed = async (rig: SandboxUnderTest, layer: LayerId, lower: LayerStack): Promise<string[]> => {
  using temp = openTemp();
  const tar = await rig.sandbox.layers.writeTar(layer, lower, { to: temp.at('t') });
  const bytes = readFileSync(temp.at('t'));
  expect(tar).toEqual({ diffId: digestOf(bytes), size: bytes.length });
  return execFileSync('tar', ['-tf', temp.at('t')], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '');
};

const applied = async (rig: SandboxUnderTest, tar: Buffer, lower: LayerStack = []): Promise<LayerId> => {
  const result = await rig.sandbox.layers.apply(pieces(tar), lower);
  expect(result).toMatchObject({ diffId: digestOf(tar), size: tar.length });
  return result.layer;
};

async function* broken(): AsyncGenerator<Uint8Array> {
  yield tarOf({ path: 'x' }).subarray(0, 512);
  throw new Error('connection lost');
}

/** Without the number of names: a further name of a file that is as it was below is a file of its own (`unchanged-file.ts`). */
const lookAtAll = String.raw`find . -printf '%p %y %m %U:%G %l\n' | sort; find . -type f | sort | xargs -r -d '\n' sha256sum`;
const nameOf = fc.constantFrom('a', 'b', 'c', 'a-b', 'é');
const pathOf = fc.array(nameOf, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
/** Changes that may fail: whatever they leave is a tree. */
const treeScript = fc
  .array(
    fc.oneof(
      pathOf.map((path) => `mkdir -p '${path}'`),
      fc
        .tuple(pathOf, fc.nat(9))
        .map(([path, n]) => `mkdir -p "$(dirname '${path}')"; echo ${n} > '${path}'; chmod 6${n % 8}0 '${path}'`),
      fc.tuple(pathOf, pathOf).map(([from, to]) => `ln -sfn '${from}' '${to}'`),
      fc.tuple(pathOf, pathOf).map(([from, to]) => `ln -f '${from}' '${to}'`),
      fc.tuple(pathOf, pathOf).map(([from, to]) => `mv -T '${from}' '${to}'`),
      pathOf.map((path) => `rm -rf '${path}'`),
      fc.tuple(pathOf, fc.nat(9)).map(([path, n]) => `chown -h ${n}:${n} '${path}'`),
    ),
    { maxLength: 25 },
  )
  .map((lines) => lines.map((line) => `(${line}) 2>/dev/null || true`).join('\n'));
