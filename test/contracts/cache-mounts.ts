import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { CacheMountRequest, CacheMounts } from '../../src/core/cache-mounts.ts';
import { openSandbox } from '../../sandbox/open.ts';
import { contextOf } from './file-backend.ts';
import { changed, type SandboxUnderTest } from './snapshotter.ts';
import { describeWith } from '../support/requires.ts';
import { openTemp } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const request = (change: Partial<CacheMountRequest> = {}): CacheMountRequest => ({
  id: '/root/.cache',
  sharing: 'shared',
  mode: 0o755,
  uid: 0,
  gid: 0,
  ...change,
});

/** Whether acquiring waits: it has not come about once another acquisition, asked for later, has. */
async function waits(mounts: CacheMounts, change: Partial<CacheMountRequest>): Promise<boolean> {
  const abort = new AbortController();
  const attempt = mounts.acquire(request(change), { signal: abort.signal }).then(
    async (lease) => {
      await lease[Symbol.asyncDispose]();
      return false;
    },
    () => true,
  );
  for (let i = 0; i < 3; i++) {
    const other = await mounts.acquire(request({ id: `other ${i}`, sharing: 'private' }));
    await other[Symbol.asyncDispose]();
  }
  abort.abort();
  return await attempt;
}

/** What all cache mounts do. */
export function cacheMountsContract(name: string, open: () => Promise<SandboxUnderTest>): void {
  describeWith(['root', 'overlay'], `cache mounts: ${name}`, () => {
    it('acquire: the same id gives the same directory, across openings', async () => {
      await using rig = await open();
      {
        await using lease = await rig.sandbox.cacheMounts.acquire(request());
        writeFileSync(join(lease.path, 'f'), 'kept');
      }
      await using second = await openSandbox({ stateDir: rig.stateDir });
      await using lease = await second.cacheMounts.acquire(request());
      expect(readFileSync(join(lease.path, 'f'), 'utf8')).toBe('kept');
    });
    it('acquire: id, owner and mode tell directories apart; no id becomes a path', async () => {
      await using rig = await open();
      const requests = [
        {},
        { id: '../../../etc' },
        { id: 'a/b' },
        { id: '.' },
        { uid: 5 },
        { gid: 5 },
        { mode: 0o1777 },
      ];
      const leases = await Promise.all(requests.map((change) => rig.sandbox.cacheMounts.acquire(request(change))));
      expect(new Set(leases.map(({ path }) => path)).size).toBe(requests.length);
      for (const { path } of leases)
        expect(path).toMatch(new RegExp(`^${rig.stateDir}/cache-mounts/[0-9a-f]{32}/data$`));
      const { uid, gid, mode } = statSync(leases[6]!.path);
      expect([uid, gid, mode & 0o7777]).toEqual([0, 0, 0o1777]);
      expect(statSync(leases[4]!.path).uid).toBe(5);
      await Promise.all(leases.map((lease) => lease[Symbol.asyncDispose]()));
    });
    it('shared: any number at once; locked: one after the other, in order', async () => {
      await using rig = await open();
      const { cacheMounts } = rig.sandbox;
      {
        await using first = await cacheMounts.acquire(request());
        expect(existsSync(first.path)).toBe(true);
        expect(await waits(cacheMounts, {})).toBe(false);
        expect(await waits(cacheMounts, { sharing: 'locked' })).toBe(true);
      }
      const order: number[] = [];
      await Promise.all(
        [0, 1, 2, 3].map(async (i) => {
          await using lease = await cacheMounts.acquire(request({ sharing: 'locked' }));
          expect(existsSync(lease.path)).toBe(true);
          order.push(i);
          expect(await waits(cacheMounts, {})).toBe(true);
          order.push(i);
        }),
      );
      expect(order).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    });
    it('private: each gets its own, and the next one what the last one left', async () => {
      await using rig = await open();
      const acquire = (): ReturnType<CacheMounts['acquire']> =>
        rig.sandbox.cacheMounts.acquire(request({ sharing: 'private' }));
      {
        await using a = await acquire();
        await using b = await acquire();
        expect(a.path).not.toBe(b.path);
        writeFileSync(join(a.path, 'f'), '');
      }
      await using again = await acquire();
      expect(existsSync(join(again.path, 'f'))).toBe(true);
    });
    it('locked: across processes, and one that is killed gives its lock up (trap 44)', async () => {
      await using rig = await open();
      const child = fork(resolve(import.meta.dirname, '../sandbox/fixtures/hold-cache-mount.ts'), [
        rig.stateDir,
        JSON.stringify(request({ sharing: 'locked' })),
      ]);
      const ended = once(child, 'exit');
      await once(child, 'message');
      expect(await waits(rig.sandbox.cacheMounts, { sharing: 'locked' })).toBe(true);
      const waiting = rig.sandbox.cacheMounts.acquire(request({ sharing: 'locked' }));
      child.kill('SIGKILL');
      await ended;
      await using lease = await waiting;
      expect(existsSync(lease.path)).toBe(true);
    });
    it('acquire: waiting ends when aborted, with the reason, and the queue goes on', async () => {
      await using rig = await open();
      const { cacheMounts } = rig.sandbox;
      const first = await cacheMounts.acquire(request({ sharing: 'locked' }));
      const abort = new AbortController();
      const second = cacheMounts.acquire(request({ sharing: 'locked' }), { signal: abort.signal });
      const third = cacheMounts.acquire(request({ sharing: 'locked' }));
      abort.abort(new Error('the user'));
      await expect(second).rejects.toThrow('the user');
      await first[Symbol.asyncDispose]();
      await using lease = await third;
      expect(existsSync(lease.path)).toBe(true);
    });
    it('seed: fills the directory the first time only, from a stage or a context', async () => {
      await using rig = await open();
      using temp = openTemp();
      const layer = await changed(
        rig.sandbox,
        [],
        'mkdir -p d/sub; echo 1 > d/sub/f; chown 3:4 d/sub/f; ln -s sub d/l',
      );
      const seed = { tree: { kind: 'layers', stack: [layer] }, path: '/d' } as const;
      {
        await using lease = await rig.sandbox.cacheMounts.acquire(request({ seed, uid: 9 }));
        expect(readTree(lease.path)).toEqual({
          l: 'symlink 0:0 -> sub',
          sub: 'directory 755 0:0',
          'sub/f': 'file 644 3:4 "1\\n"',
        });
        expect(statSync(lease.path).uid).toBe(9);
        writeFileSync(join(lease.path, 'sub/f'), '2');
      }
      await using lease = await rig.sandbox.cacheMounts.acquire(request({ seed, uid: 9 }));
      expect(readFileSync(join(lease.path, 'sub/f'), 'utf8')).toBe('2');
      const context = contextOf(temp, { 'a/x': 'X', 'a/y': 'Y' }, ['a/y']);
      await using other = await rig.sandbox.cacheMounts.acquire(
        request({ id: 'local', seed: { tree: context, path: '/a' } }),
      );
      expect(Object.keys(readTree(other.path))).toEqual(['x']);
    });
    it('list, remove: by id, with sizes; what is in use stays', async () => {
      await using rig = await open();
      const { cacheMounts } = rig.sandbox;
      expect(await cacheMounts.list()).toEqual([]);
      for (const change of [{ id: 'b' }, { id: 'a' }, { id: 'a', uid: 1 }]) {
        await using lease = await cacheMounts.acquire(request(change));
        writeFileSync(join(lease.path, 'f'), Buffer.alloc(100_000));
      }
      const listed = await cacheMounts.list();
      expect(listed.map(({ id }) => id)).toEqual(['a', 'a', 'b']);
      for (const { bytes, lastUsedMs } of listed) {
        expect(bytes).toBeGreaterThan(100_000);
        expect(Date.now() - lastUsedMs).toBeLessThan(60_000);
      }
      {
        await using held = await cacheMounts.acquire(request({ id: 'b' }));
        expect(existsSync(held.path)).toBe(true);
        expect(await cacheMounts.remove('b')).toBe(0);
      }
      expect(await cacheMounts.remove('a')).toBeGreaterThan(200_000);
      expect((await cacheMounts.list()).map(({ id }) => id)).toEqual(['b']);
      expect(await cacheMounts.remove('gone')).toBe(0);
    });
  });
}
