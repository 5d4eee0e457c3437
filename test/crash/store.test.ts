import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pruneStore } from '../../src/store/prune.ts';
import { cacheKey, cacheRecord } from '../contracts/cache-index.ts';
import { codeOf } from '../contracts/content-store.ts';
import { expectSound, runWriter, startWriter } from '../support/killed-process.ts';
import { describeWith } from '../support/requires.ts';
import { chunked, directoryLayers, openStore, type OpenStore, temporaryDirectory } from '../support/store-rig.ts';

const WRITE_POINTS = [
  'blob-written',
  'blob-synced',
  'blob-published',
  'names-written',
  'names-published',
  'records-begun',
  'records-committed',
] as const;

describe('kill -9 of a writer', () => {
  it.each(WRITE_POINTS)(
    'at %s: what it was told is stored is there, nothing is broken, the next one succeeds',
    async (failpoint) => {
      await using directory = await temporaryDirectory();
      const store = join(directory.path, 's');
      const before = await runWriter({ store, prefix: 'before', count: 1 });
      const killed = await runWriter({ store, prefix: 'a', count: 3, failpoint });
      expect(killed.signal).toBe('SIGKILL');
      await expectSound(store, [...before.lines, ...killed.lines]);
      const after = await runWriter({ store, prefix: 'a', count: 3 });
      expect(after.signal).toBeNull();
      await expectSound(store, [...before.lines, ...after.lines]);
    },
  );
  it('six at once, three of them killed: nothing acknowledged is lost, the others go on', async () => {
    await using directory = await temporaryDirectory();
    const store = join(directory.path, 's');
    const writers = Array.from({ length: 6 }, (_, i) =>
      startWriter({ store, prefix: `w${i}-`, count: i < 3 ? 1_000_000 : 12 }),
    );
    for (const writer of writers.slice(0, 3)) {
      await writer.reached(10);
      writer.child.kill('SIGKILL');
    }
    const ended = await Promise.all(writers.map(({ end }) => end));
    expect(ended.map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL', null, null, null]);
    const lines = ended.flatMap((each) => each.lines);
    expect(lines.length).toBeGreaterThanOrEqual(3 * 10 + 3 * 36);
    await expectSound(store, lines);
  });
});

describeWith(['root'], 'a full disk', () => {
  it('writing fails cleanly, what was there stays, and pruning still works', async () => {
    await using directory = await temporaryDirectory();
    using disk = smallDisk(join(directory.path, 'small'));
    const path = join(disk.path, 's');
    const { lines } = await runWriter({ store: path, prefix: 'a', count: 2 });
    {
      await using store = await openStore(path);
      expect(await codeOf(store.content.write(chunked(Buffer.alloc(8_000_000, 'x'), 65_536)))).toBe('STORE_FULL');
      expect(readdirSync(store.state.tmp)).toEqual([]);
      const filler = await store.content.draft();
      execFileSync('sh', ['-c', 'cat /dev/zero > "$1" 2>/dev/null || true', 'sh', filler.path]);
      const image = await store.names.lookup('docker.io/library/app:a0');
      expect(await codeOf(store.content.write(Buffer.from('small')))).toMatch(/STORE_FULL|no error/);
      expect(await codeOf(store.names.set('docker.io/library/app:new', image!.image))).toMatch(/STORE_FULL|no error/);
      expect(await codeOf(fillIndex(store))).toBe('STORE_FULL');
      const parts = { ...store, layers: directoryLayers(`${store.state.sandboxDir}/layers`) };
      await filler[Symbol.asyncDispose]();
      await pruneStore(parts, { scope: 'dangling' });
      await store.cache.record([cacheKey('again')], cacheRecord('a'));
      expect(await store.cache.lookup(cacheKey('again'))).toBeDefined();
    }
    await expectSound(path, lines);
  });
});

function smallDisk(path: string): Disposable & { readonly path: string } {
  mkdirSync(path);
  run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path);
  return { path, [Symbol.dispose]: () => run('umount', path) };
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args);
}

async function fillIndex(store: OpenStore): Promise<void> {
  const record = { ...cacheRecord('a'), fields: 'x'.repeat(100_000) };
  for (let i = 0; i < 200; i++) await store.cache.record([cacheKey(`fill ${i}`)], record);
}
