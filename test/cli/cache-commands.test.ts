import { expect, test } from 'vitest';
import { runCli } from '../../src/cli/run-cli.ts';
import type { CacheMountImport, StoreFlaw, StoreHandle } from '../../src/store-handle.ts';
import { fakeApi, fakeIo, MemoryStream, type FakeIo } from './fake-io.ts';

const nowMs = fakeIo().now();

async function run(
  line: string,
  handle: Partial<StoreHandle>,
  o: Parameters<typeof fakeIo>[0] = {},
): Promise<{ status: number; io: FakeIo }> {
  const io = fakeIo(o);
  return { status: await runCli(line.split(' '), io, fakeApi({ handle })), io };
}

const cacheMounts: StoreHandle['cacheMounts'] = () =>
  Promise.resolve([{ id: '/root/.npm', path: '/x', bytes: 2_000_000, lastUsedMs: nowMs - 7_200_000 }]);

test('cache mounts ls: ids, sizes, last use', async () => {
  expect((await run('cache mounts ls', { cacheMounts })).io.stdout.text).toBe(
    'ID             SIZE   LAST USED\n/root/.npm   2.00MB   2 hours ago\n',
  );
  expect(JSON.parse((await run('cache mounts ls --format json', { cacheMounts })).io.stdout.text)).toHaveLength(1);
});

function removeCacheMount(id: string): Promise<number> {
  return Promise.resolve(id.length * 1000);
}

test('cache mounts rm: says what was freed', async () => {
  expect((await run('cache mounts rm a bc', { removeCacheMount })).io.stdout.text).toBe(
    'Removed a, 1.00kB freed\nRemoved bc, 2.00kB freed\n',
  );
});

test('cache mounts export: to a file, or to standard output that is no terminal', async () => {
  const calls: unknown[] = [];
  const exportCacheMount: StoreHandle['exportCacheMount'] = (id, { dest }) =>
    Promise.resolve(void calls.push([id, dest]));
  await run('cache mounts export a -o f.tar', { exportCacheMount });
  await run('cache mounts export a', { exportCacheMount });
  expect(calls).toEqual([
    ['a', 'f.tar'],
    ['a', '-'],
  ]);
  const refused = await run('cache mounts export a', {}, { stdout: new MemoryStream('terminal') });
  expect(refused.status).toBe(2);
});

test('cache mounts import: from a file or standard input, with owner and mode', async () => {
  const calls: CacheMountImport[] = [];
  const importCacheMount: StoreHandle['importCacheMount'] = (id, request) => {
    calls.push(request);
    return Promise.resolve({ id, path: '', bytes: 1000, lastUsedMs: 0 });
  };
  const { io } = await run('cache mounts import a f.tar --owner 1:2 --mode 700', { importCacheMount });
  expect(io.stdout.text).toBe('Imported a, 1.00kB\n');
  await run('cache mounts import a', { importCacheMount });
  expect(calls).toMatchObject([{ path: 'f.tar', uid: 1, gid: 2, mode: 0o700 }, { path: {} }]);
});

test.each(['cache mounts', 'cache things ls', 'cache mounts show', 'cache mounts rm', 'cache mounts import a b c'])(
  '%s is refused',
  async (line) => {
    expect((await run(line, {})).status).toBe(2);
  },
);

test('verify-store: exit status 1 where something is damaged and stays so', async () => {
  const flaw: StoreFlaw = { what: 'layer x', reason: 'it is gone', severity: 'damaged', repair: 'none' };
  const whole = await run('verify-store', { verify: () => Promise.resolve([]) });
  expect([whole.status, whole.io.stdout.text]).toEqual([0, 'the store is whole\n']);
  const verify: StoreHandle['verify'] = ({ repair }) =>
    Promise.resolve([{ ...flaw, repair: repair === 'drop' ? 'dropped' : 'none' }]);
  const damaged = await run('verify-store', { verify });
  expect([damaged.status, damaged.io.stdout.text]).toEqual([1, 'layer x: it is gone\n']);
  const stray = await run('verify-store', { verify: () => Promise.resolve([{ ...flaw, severity: 'stray' }]) });
  const hint = 'layer x: it is gone; tsbuild prune removes it\n';
  expect([stray.status, stray.io.stdout.text]).toEqual([0, `${hint}the store is whole\n`]);
  const repaired = await run('verify-store --repair', { verify });
  expect([repaired.status, repaired.io.stdout.text]).toEqual([
    0,
    'layer x: it is gone (dropped)\nthe store is whole\n',
  ]);
});

test('prune: the wishes of BuildKit', async () => {
  const filters: unknown[] = [];
  const prune: StoreHandle['prune'] = (filter) => {
    filters.push({ ...filter, signal: undefined });
    return Promise.resolve({ bytes: 0, items: 0 });
  };
  await run('prune --min-free-space 2k --reserved-space 1k --max-used-space 3k', { prune });
  expect(filters).toEqual([{ scope: 'unused', keepBytes: 3072, minFreeBytes: 2048, reservedBytes: 1024 }]);
});
