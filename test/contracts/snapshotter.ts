import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { LayerId, LayerStack } from '../../src/core/snapshot.ts';
import type { Sandbox } from '../../src/core/sandbox.ts';
import { describeWith } from '../support/requires.ts';
import { shellIn } from '../support/root-shell.ts';

/** A sandbox on a fresh store, and its end. */
export interface SandboxUnderTest extends AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly stateDir: string;
}

/** Runs `script` on a tree made of `lower` and commits what it changed. */
export async function changed(sandbox: Sandbox, lower: LayerStack, script: string): Promise<LayerId> {
  await using active = await sandbox.snapshotter.prepare(lower);
  await shellIn(active.root, script);
  return await active.commit();
}

/** What `script` prints on the tree. */
export async function seen(sandbox: Sandbox, stack: LayerStack, script: string): Promise<string> {
  await using view = await sandbox.snapshotter.view(stack);
  return await shellIn(view.root, script);
}

/** What every snapshotter does. */
export function snapshotterContract(name: string, open: () => Promise<SandboxUnderTest>): void {
  describeWith(['root', 'overlay'], `snapshotter: ${name}`, () => {
    it('commit: what was changed is in the tree, and in no other', async () => {
      await using rig = await open();
      const a = await changed(rig.sandbox, [], 'mkdir etc; echo one > etc/a');
      const b = await changed(rig.sandbox, [a], 'echo two > etc/b');
      expect(await seen(rig.sandbox, [a, b], 'cat etc/a etc/b')).toBe('one\ntwo\n');
      expect(await seen(rig.sandbox, [a], 'ls etc')).toBe('a\n');
      expect(await seen(rig.sandbox, [], 'ls -A')).toBe('');
    });
    it('prepare: two trees on one stack do not see each other', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'echo base > f');
      const [a, b] = await Promise.all(
        ['a', 'b'].map((x) => changed(rig.sandbox, [base], `test -e x && exit 1; echo ${x} > f; touch x`)),
      );
      expect(await seen(rig.sandbox, [base, a!], 'cat f')).toBe('a\n');
      expect(await seen(rig.sandbox, [base, b!], 'cat f')).toBe('b\n');
      expect(await seen(rig.sandbox, [base], 'cat f')).toBe('base\n');
    });
    it('dispose: without commit nothing remains', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'echo base > f');
      {
        await using active = await rig.sandbox.snapshotter.prepare([base]);
        await shellIn(active.root, 'echo changed > f; mkdir d');
      }
      expect(await seen(rig.sandbox, [base], 'cat f; ls')).toBe('base\nf\n');
    });
    it('commit: removed files, and directories made anew, stay so', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'mkdir -p d/sub e; touch d/old d/sub/x e/keep f g');
      const next = await changed(
        rig.sandbox,
        [base],
        'rm -r d f; mkdir -p d/sub; touch d/new; rm -r e; touch e; rm g; mkdir g; touch g/in',
      );
      expect(await seen(rig.sandbox, [base, next], 'find . | sort')).toBe(
        ['.', './d', './d/new', './d/sub', './e', './g', './g/in', ''].join('\n'),
      );
    });
    it('commit: links and directories replace each other', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'mkdir real d; touch real/r d/x; ln -s real link');
      const next = await changed(rig.sandbox, [base], 'rm link; mkdir link; touch link/l; rm -r d; ln -s real d');
      expect(await seen(rig.sandbox, [base, next], 'ls link d/; readlink d')).toBe('d/:\nr\n\nlink:\nl\nreal\n');
    });
    it('stack: layers can be stacked anew, in any order', async () => {
      await using rig = await open();
      const a = await changed(rig.sandbox, [], 'mkdir d; echo a > d/f; echo a > d/a');
      const b = await changed(rig.sandbox, [], 'mkdir d; echo b > d/f; echo b > d/b');
      expect(await seen(rig.sandbox, [a, b], 'cat d/f; ls d')).toBe('b\na\nb\nf\n');
      expect(await seen(rig.sandbox, [b, a], 'cat d/f; ls d')).toBe('a\na\nb\nf\n');
      expect(await seen(rig.sandbox, [a, b, a], 'cat d/f')).toBe('a\n');
    });
    it('prepare: the root directory keeps owner and mode', async () => {
      await using rig = await open();
      const base = await changed(rig.sandbox, [], 'chmod 1750 .; chown 12:34 .');
      const next = await changed(rig.sandbox, [base], 'touch x');
      expect(await seen(rig.sandbox, [base, next], 'stat -c "%a %u:%g" .')).toBe('1750 12:34\n');
      expect(await seen(rig.sandbox, [], 'stat -c "%a %u:%g" .')).toBe('755 0:0\n');
    });
    it('commit: owners, modes, times, hard links and special files are kept', async () => {
      await using rig = await open();
      const script =
        'echo x > f; ln f g; chown 1:2 f; chmod 4711 f; touch -d @1000000000.5 f; mkfifo p; mknod n c 1 3; mkdir -m 2775 s';
      const base = await changed(rig.sandbox, [], script);
      const next = await changed(rig.sandbox, [base], 'chmod 600 g');
      const look = 'stat -c "%n %F %a %u:%g %h %Y" f g p n s; stat -c %y f | cut -c20-22';
      const [first, second] = [await seen(rig.sandbox, [base], look), await seen(rig.sandbox, [base, next], look)];
      expect(first).toContain('f regular file 4711 1:2 2 1000000000\ng regular file 4711 1:2 2 1000000000\np fifo 644');
      expect(first).toContain('n character special file');
      expect(first).toContain('s directory 2775');
      expect(first).toContain('.5');
      expect(second).toContain('g regular file 600 1:2');
    });
    it('has, remove: a layer is there until it is removed', async () => {
      await using rig = await open();
      const layer = await changed(rig.sandbox, [], 'touch x');
      expect(await rig.sandbox.snapshotter.has(layer)).toBe(true);
      await rig.sandbox.snapshotter.remove(layer);
      expect(await rig.sandbox.snapshotter.has(layer)).toBe(false);
      await rig.sandbox.snapshotter.remove(layer);
      await expect(rig.sandbox.snapshotter.prepare([layer])).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
      expect(await rig.sandbox.snapshotter.has('../../etc' as LayerId)).toBe(false);
    });
    it('remove: a layer that a tree holds stays', async () => {
      await using rig = await open();
      const layer = await changed(rig.sandbox, [], 'touch x');
      {
        await using view = await rig.sandbox.snapshotter.view([layer]);
        expect(await shellIn(view.root, 'ls')).toBe('x\n');
        await rig.sandbox.snapshotter.remove(layer);
        expect(await rig.sandbox.snapshotter.has(layer)).toBe(true);
      }
      await rig.sandbox.snapshotter.remove(layer);
      expect(await rig.sandbox.snapshotter.has(layer)).toBe(false);
    });
    it('usage: counts bytes and inodes, hard links once', async () => {
      await using rig = await open();
      const layer = await changed(rig.sandbox, [], 'head -c 100000 /dev/urandom > f; ln f g; ln -s f h');
      const usage = await rig.sandbox.snapshotter.usage(layer);
      expect(usage.inodes).toBe(3);
      expect(usage.bytes).toBeGreaterThan(100_000);
      expect(usage.bytes).toBeLessThan(200_000);
    });
    it('usage: nothing where the layer is absent', async () => {
      await using rig = await open();
      expect(await rig.sandbox.snapshotter.usage('absent' as LayerId)).toEqual({ bytes: 0, inodes: 0 });
    });
    it('list: the layers that are there, with the time at which they came', async () => {
      await using rig = await open();
      const { snapshotter } = rig.sandbox;
      expect(await Array.fromAsync(snapshotter.list())).toEqual([]);
      const beforeMs = Date.now() - 1000;
      const [kept, removed] = [await changed(rig.sandbox, [], 'touch x'), await changed(rig.sandbox, [], 'touch y')];
      await snapshotter.remove(removed);
      await using unfinished = await snapshotter.prepare([kept]);
      await shellIn(unfinished.root, 'touch z');
      const listed = await Array.fromAsync(snapshotter.list());
      expect(listed.map(({ layer }) => layer)).toEqual([kept]);
      expect(listed[0]?.createdMs).toBeGreaterThan(beforeMs);
    });
    it('dispose: leaves no file of what was in the making', async () => {
      const rig = await open();
      await using active = await rig.sandbox.snapshotter.prepare([]);
      await shellIn(active.root, 'touch x');
      await rig[Symbol.asyncDispose]();
      expect(existsSync(rig.stateDir)).toBe(false);
    });
  });
}
