import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ImageInspection, RecordRow } from '../../src/store-handle.ts';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { describeWith } from '../support/requires.ts';
import { builtDigest, openRig, type Rig } from '../support/rig.ts';
import { checkProgram } from '../support/run-program.ts';

const DOCKERFILE = `FROM busybox
RUN --mount=type=cache,id=things,target=/things cat /things/* 2>/dev/null; echo kept > /things/file
RUN dd if=/dev/zero of=/big bs=1M count=4 2>/dev/null
`;

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e store upkeep', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  async function openBuilt(): Promise<Rig & AsyncDisposable> {
    const rig = await openRig();
    await mkdir(join(rig.work, 'context'));
    await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE);
    await build(rig, '-t', 'app');
    return rig;
  }

  async function build(rig: Rig, ...args: readonly string[]): Promise<string> {
    const dated = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '--metadata-file', join(rig.work, 'metadata.json')];
    const { stderr } = await rig.succeed(['build', ...registry.flags, ...dated, ...args, join(rig.work, 'context')]);
    return stderr;
  }

  it('cache mounts: are listed, exported, removed, and come back', async () => {
    await using rig = await openBuilt();
    expect(await mounts(rig)).toEqual(['things']);
    const tar = join(rig.work, 'things.tar');
    await rig.succeed(['cache', 'mounts', 'export', 'things', '-o', tar]);
    expect(await checkProgram('tar', ['-xOf', tar, 'file'])).toBe('kept\n');
    await rig.succeed(['cache', 'mounts', 'rm', 'things']);
    expect(await mounts(rig)).toEqual([]);
    await checkProgram('gzip', [tar]);
    await rig.succeed(['cache', 'mounts', 'import', 'things'], { stdin: await readFile(`${tar}.gz`) });
    expect(await build(rig, '--no-cache', '--progress=plain')).toMatch(/ kept$/m);
    expect((await rig.run(['cache', 'mounts', 'rm', 'thinsg'])).stderr).toContain('did you mean things?');
    const bad = await rig.run(['cache', 'mounts', 'import', 'things', join(rig.work, 'context/Dockerfile')]);
    expect(bad.status).toBe(1);
    expect(await mounts(rig)).toEqual(['things']);
  });

  it('verify-store: tells of damage, drops it, and the next build makes what is missing', async () => {
    await using rig = await openBuilt();
    expect((await rig.succeed(['verify-store'])).stdout).toBe('the store is whole\n');
    const layers = join(rig.store, 'sandbox/layers');
    const big = (await checkProgram('find', [layers, '-name', 'big'])).trim();
    await appendFile(big, 'x');
    const found = await rig.run(['verify-store']);
    expect([found.status, found.stdout]).toEqual([1, expect.stringMatching(/^layer \w+: its diff ID is /)]);
    await rig.succeed(['verify-store', '--repair']);
    await rig.succeed(['verify-store']);
    expect(await build(rig, '-t', 'app')).toContain('1 cached, 1 ran');
    const digest = await builtDigest(join(rig.work, 'metadata.json'));
    const [image] = JSON.parse((await rig.succeed(['inspect', 'app'])).stdout) as readonly ImageInspection[];
    const config = image?.platforms[0]?.configDigest.slice('sha256:'.length) ?? '';
    await appendFile(join(rig.store, 'blobs/sha256', config), 'x');
    expect((await rig.run(['verify-store'])).status).toBe(1);
    await rig.succeed(['verify-store', '--repair']);
    await rig.succeed(['verify-store']);
    await build(rig, '-t', 'app');
    expect(await builtDigest(join(rig.work, 'metadata.json'))).toBe(digest);
  });

  it('filters: du shows and prune removes what they select, and no more', async () => {
    await using rig = await openBuilt();
    await rig.succeed(['rmi', 'app']);
    const before = await records(rig);
    expect(before.map(({ type }) => type)).toContain('exec.cachemount');
    const [big] = await records(rig, '--filter', 'description~=exec .* dd ');
    expect(big).toMatchObject({ kind: 'cache layers', inUse: 'no', mutable: 'no', type: 'regular' });
    expect(big?.bytes).toBeGreaterThan(4_000_000);
    const [child] = await records(rig, '--filter', `parents=${big?.parents[0]}`);
    expect(child?.id).toBe(big?.id);
    await rig.succeed(['prune', '--filter', `id=${big?.id}`, '--filter', 'mutable']);
    expect(await records(rig)).toHaveLength(before.length);
    expect((await rig.succeed(['prune', '--filter', 'mutable'])).stdout).toMatch(/^Removed 1 item,/);
    expect(await mounts(rig)).toEqual([]);
    await rig.succeed(['prune', '--filter', `id=${big?.id}`, '--filter', 'inuse=false']);
    const after = await records(rig);
    expect(after.map(({ id }) => id)).not.toContain(big?.id);
    expect(after).toHaveLength(before.length - 2);
    await rig.succeed(['verify-store']);
  });

  it('a lost index: images stay, the layers that nothing refers to any more are told of, pruned, and made again', async () => {
    await using rig = await openBuilt();
    const digest = await builtDigest(join(rig.work, 'metadata.json'));
    for (const suffix of ['', '-wal', '-shm']) await rm(join(rig.store, `cache.sqlite${suffix}`), { force: true });
    const layers = await readdir(join(rig.store, 'sandbox/layers'));
    expect(layers.length).toBeGreaterThan(2);
    const { stdout } = await rig.succeed(['verify-store']);
    expect(stdout.split('\n')).toHaveLength(layers.length + 2);
    expect(stdout).toMatch(/^layer \w+: nothing refers to it; tsbuild prune removes it$/m);
    await rig.succeed(['prune', '--filter', 'until=24h']);
    expect(await readdir(join(rig.store, 'sandbox/layers'))).toEqual(layers);
    await rig.succeed(['prune']);
    expect(await readdir(join(rig.store, 'sandbox/layers'))).toEqual([]);
    expect((await rig.succeed(['verify-store'])).stdout).toBe('the store is whole\n');
    expect((await rig.succeed(['inspect', 'app'])).stdout).toContain(digest);
    expect(await build(rig, '-t', 'new')).toContain('0 cached, 2 ran');
    await rig.succeed(['verify-store']);
  });

  it('max-used-space: room is made before a build writes, named images stay', async () => {
    await using rig = await openBuilt();
    const digest = await builtDigest(join(rig.work, 'metadata.json'));
    await writeFile(join(rig.work, 'context/Dockerfile'), DOCKERFILE.replace('/big', '/other'));
    await build(rig, '-o', 'type=cacheonly');
    expect(await build(rig, '--progress=plain', '--max-used-space', '1g')).not.toContain('make room');
    const said = await build(rig, '--progress=plain', '-t', 'new', '--max-used-space', '1m');
    expect(said).toContain('make room in the store');
    const { stdout } = await rig.succeed(['inspect', 'app']);
    expect(stdout).toContain(digest);
    await rig.succeed(['verify-store']);
  });

  it('prune: a wish that is met already removes no record; a cap does', async () => {
    await using rig = await openBuilt();
    await rig.succeed(['rmi', 'app', 'busybox']);
    const cached = async (): Promise<boolean> =>
      (await rig.succeed(['plan', ...registry.flags, join(rig.work, 'context')])).stdout.includes(
        'all 2 steps are cached',
      );
    await rig.succeed(['prune', '--min-free-space', '1k']);
    await rig.succeed(['prune', '--reserved-space', '10g']);
    await rig.succeed(['prune', '--filter', 'until=24h']);
    expect(await cached()).toBe(true);
    await rig.succeed(['prune', '--max-used-space', '1k']);
    expect(await cached()).toBe(false);
    expect(await mounts(rig)).toEqual([]);
  });
});

async function records(rig: Rig, ...args: readonly string[]): Promise<readonly RecordRow[]> {
  const { stdout } = await rig.succeed(['du', '--verbose', '--format=json', ...args]);
  return JSON.parse(stdout) as readonly RecordRow[];
}

async function mounts(rig: Rig): Promise<readonly string[]> {
  const { stdout } = await rig.succeed(['cache', 'mounts', 'ls', '--format=json']);
  return (JSON.parse(stdout) as readonly { id: string }[]).map(({ id }) => id);
}
