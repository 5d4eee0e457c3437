import { randomBytes } from 'node:crypto';
import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { type CacheMachines, openCacheMachines } from '../support/cache-machines.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';

function to({ cache }: CacheMachines, more = 'mode=max'): readonly string[] {
  return ['--cache-to', `type=local,dest=${cache},${more}`];
}

function from({ cache }: CacheMachines, more = ''): readonly string[] {
  return ['--cache-from', `type=local,src=${cache}${more}`];
}

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e remote cache: local', () => {
  let registry: BusyboxRegistry;
  beforeAll(async () => {
    registry = await openBusyboxRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  const open = (): Promise<CacheMachines & AsyncDisposable> => openCacheMachines(registry.flags);
  it.each(['min', 'max'])('local cache (%s): a fresh machine runs nothing and gets the same image', async (mode) => {
    await using machines = await open();
    const first = await machines.build('a', to(machines, `mode=${mode}`));
    const second = await machines.build('b', from(machines));
    expect(second).toMatchObject({ ran: [], warnings: [], digest: first.digest });
    const third = await machines.build('b', from(machines));
    expect(third).toMatchObject({ ran: [], digest: first.digest });
  });

  it.each(['image-manifest=false', 'oci-mediatypes=false', 'compression=zstd', 'compression=uncompressed'])(
    'local cache (%s): a fresh machine runs nothing and gets the same image',
    async (option) => {
      await using machines = await open();
      const first = await machines.build('a', to(machines, option));
      const second = await machines.build('b', from(machines));
      expect(second).toMatchObject({ ran: [], warnings: [], digest: first.digest });
    },
  );

  it('local cache: the same build makes the same cache, and writes no blob again', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    const { digest, manifest } = await machines.readCache();
    const [layer] = manifest.layers;
    const written = (await stat(machines.blobPath(layer?.digest ?? ''))).mtimeMs;
    await machines.build('a', to(machines));
    await machines.build('b', [...from(machines), ...to(machines)]);
    expect((await machines.readCache()).digest).toBe(digest);
    expect((await stat(machines.blobPath(layer?.digest ?? ''))).mtimeMs).toBe(written);
  });

  it('local cache: files come out of it as they were', async () => {
    await using machines = await open();
    const out = (name: string): readonly string[] => ['-o', `type=tar,dest=${join(machines.rig.work, name)}`];
    const read = (name: string): Promise<Buffer> => readFile(join(machines.rig.work, name));
    await machines.run('a', [...out('a.tar'), ...to(machines)]);
    await machines.run('b', [...out('b.tar'), ...from(machines)]);
    expect((await read('b.tar')).equals(await read('a.tar'))).toBe(true);
    // Now its layers are unpacked, and records of them are this machine's own.
    expect(await machines.build('b')).toMatchObject({ ran: [] });
  });

  it('local cache: what is only known is compressed anew when asked to', async () => {
    await using machines = await open();
    const first = await machines.build('a', to(machines));
    const other = join(machines.rig.work, 'other');
    const anew = `type=local,dest=${other},mode=max,compression=zstd,force-compression=true`;
    const second = await machines.build('b', [...from(machines), '-o', 'type=cacheonly', '--cache-to', anew]);
    expect(second).toMatchObject({ ran: [], warnings: [] });
    const third = await machines.build('c', ['--cache-from', `type=local,src=${other}`]);
    expect(third).toMatchObject({ ran: [], warnings: [] });
    expect(first.ran.length).toBeGreaterThan(5);
  });

  it('local cache: what is only known and cannot be fetched is not compressed anew, and that is told', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    for (const { digest } of (await machines.readCache()).manifest.layers) await rm(machines.blobPath(digest));
    const anew = `type=local,dest=${join(machines.rig.work, 'other')},mode=max,force-compression=true`;
    const second = await machines.build('b', [...from(machines), '-o', 'type=cacheonly', '--cache-to', anew]);
    expect(second.warnings.join('\n')).toContain(
      'failed: cannot write the cache: layers of an imported cache cannot be fetched',
    );
  });

  it('local cache: a changed file runs only what depends on it, as on the machine that made the cache', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    await writeFile(join(machines.context, 'other/folder/file'), 'changed\n');
    const second = await machines.build('b', from(machines));
    const there = await machines.build('a');
    expect(second.ran).toEqual(there.ran);
    expect(second.ran).toHaveLength(2);
    const own = await machines.build('b');
    expect(own).toMatchObject({ ran: [], digest: second.digest });
  });

  it('local cache: a layer made here lies on layers that nobody needs unpacked', async () => {
    await using machines = await open();
    await writeFile(join(machines.context, 'Dockerfile'), 'FROM busybox\nRUN date > /date\nCOPY --link other /other\n');
    await machines.build('a', to(machines));
    await writeFile(join(machines.context, 'other/folder/file'), 'changed\n');
    const second = await machines.build('b', [...from(machines), '--cache-to', `type=local,dest=${machines.cache}`]);
    expect(second).toMatchObject({ ran: ['COPY --link other /other'], warnings: [] });
    expect(await machines.build('a')).toMatchObject({ ran: ['COPY --link other /other'] });
    expect(await machines.build('c', from(machines))).toMatchObject({ ran: [], digest: second.digest });
  });

  it('local cache: without an output no layer is read', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    for (const { digest } of (await machines.readCache()).manifest.layers) await rm(machines.blobPath(digest));
    const second = await machines.build('b', [...from(machines), '-o', 'type=cacheonly']);
    expect(second).toMatchObject({ ran: [], warnings: [] });
  });

  it('local cache: what is lost is told and run', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    for (const { digest } of (await machines.readCache()).manifest.layers) await rm(machines.blobPath(digest));
    const second = await machines.build('b', from(machines));
    expect(second.ran.length).toBeGreaterThan(5);
    expect(second.warnings.join('\n')).toContain(`cache import from ${machines.cache}: `);
    expect(await machines.build('b')).toMatchObject({ ran: [], digest: second.digest });
  });

  it('local cache: one lost layer costs the steps above it', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    const { manifest, config } = await machines.readCache();
    const heightOf = (layer: number): number => (layer < 0 ? 0 : 1 + heightOf(config.layers[layer]?.parent ?? -1));
    const heights = config.layers.map((_, layer) => heightOf(layer));
    const highest = config.layers[heights.indexOf(Math.max(...heights))]?.blob ?? '';
    expect(manifest.layers.map(({ digest }) => digest)).toContain(highest);
    await rm(machines.blobPath(highest));
    const second = await machines.build('b', from(machines));
    expect(second.ran).toHaveLength(1);
    expect(second.warnings).toHaveLength(1);
  });

  it.each([
    ['no cache at all', async ({ cache }: CacheMachines) => rm(cache, { recursive: true })],
    ['no index', async ({ cache }: CacheMachines) => rm(join(cache, 'index.json'))],
    ['an index cut off', async ({ cache }: CacheMachines) => writeFile(join(cache, 'index.json'), '{"schemaVersion"')],
    [
      'a config cut off',
      async (m: CacheMachines) => writeFile(m.blobPath((await m.readCache()).manifest.config.digest), '{'),
    ],
  ])('local cache: %s is a warning that names the place', async (_, damage) => {
    await using machines = await open();
    await machines.build('a', to(machines, 'mode=min'));
    await damage(machines);
    const { warnings, ran } = await machines.build('b', [...from(machines), '-o', 'type=cacheonly']);
    expect(ran).not.toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`cache import from ${machines.cache} failed: `);
    expect(warnings[0]).toMatch(/index\.json|DIGEST|digest/);
  });

  it('local cache: a layer that is not what the config says is not used', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    await machines.forgeConfig((config) => ({
      ...config,
      layers: config.layers.map((layer) => ({
        ...layer,
        annotations: { ...layer.annotations, diffID: `sha256:${'0'.repeat(64)}` },
      })),
    }));
    const second = await machines.build('b', from(machines));
    expect(second.ran.length).toBeGreaterThan(5);
    expect(second.warnings.join('\n')).toContain('was expected');
  });

  it('local cache: a directory that cannot be written is a warning, and an error where that is asked for', async () => {
    await using machines = await open();
    await writeFile(machines.cache, 'a file');
    const { warnings } = await machines.build('a', to(machines));
    expect(warnings).toEqual([expect.stringContaining(`cache export to ${machines.cache} failed: `)]);
    const failed = await machines.run('a', to(machines, 'ignore-error=false'));
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain('OUTPUT_FAILED');
  });

  it('local cache: exports to one directory at once leave every cache whole', async () => {
    await using machines = await open();
    await machines.build('a');
    const tags = ['one', 'two', 'three'];
    await Promise.all(tags.map((tag) => machines.build('a', to(machines, `mode=max,tag=${tag}`))));
    for (const tag of tags) {
      expect(await machines.build(tag, from(machines, `,tag=${tag}`))).toMatchObject({ ran: [], warnings: [] });
    }
  });

  it('local cache: an export that is killed leaves the earlier cache whole, and the next one clears up', async () => {
    await using machines = await open();
    const big = join(machines.context, 'other/big');
    await writeFile(big, randomBytes(1 << 20));
    const first = await machines.build('a', to(machines));
    let killed = 0;
    for (let round = 0; round < 5; round++) {
      await writeFile(big, randomBytes(16 << 20));
      // Killed while it writes: later each time, so that some have begun a blob and some the index.
      const blobs = join(machines.cache, 'blobs/sha256');
      const before = (await readdir(blobs)).length;
      const program = machines.start('a', to(machines, 'mode=max,compression=uncompressed'));
      let seen = 0;
      const watcher = watch(blobs, () => {
        seen++;
        if (seen > 2 * round) program.kill('SIGKILL');
      });
      if ((await program.ended).signal === 'SIGKILL') killed++;
      watcher.close();
      expect((await readdir(blobs)).length).toBeGreaterThanOrEqual(before);
    }
    expect(killed).toBeGreaterThan(0);
    const index = await machines.readCache();
    expect(index.manifest.layers.length).toBeGreaterThan(5);
    await writeFile(big, randomBytes(1 << 20));
    const last = await machines.build('a', to(machines));
    expect(last.digest).not.toBe(first.digest);
    expect(await machines.build('b', from(machines))).toMatchObject({ ran: [], warnings: [], digest: last.digest });
    const names = [...(await readdir(machines.cache)), ...(await readdir(join(machines.cache, 'blobs/sha256')))];
    expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('local cache: what no cache of the directory has goes when asked to, and only then', async () => {
    await using machines = await open();
    const count = async (): Promise<number> => (await readdir(join(machines.cache, 'blobs/sha256'))).length;
    await machines.build('a', to(machines, 'mode=max,tag=other'));
    await machines.build('a', to(machines));
    const whole = await count();
    await writeFile(join(machines.context, 'source.txt'), 'changed\n');
    await machines.build('a', to(machines));
    const grown = await count();
    expect(grown).toBeGreaterThan(whole);
    await writeFile(join(machines.context, 'source.txt'), 'changed again\n');
    await machines.build('a', to(machines, 'mode=max,reset=true'));
    expect(await count()).toBe(grown);
    expect(await machines.build('b', from(machines))).toMatchObject({ ran: [], warnings: [] });
    await writeFile(join(machines.context, 'source.txt'), 'source\n');
    expect(await machines.build('c', from(machines, ',tag=other'))).toMatchObject({ ran: [], warnings: [] });
  });

  it('local cache: plan knows what it has', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    await writeFile(join(machines.context, 'other/folder/file'), 'changed\n');
    const steps = await machines.plan('b', from(machines));
    expect(steps.filter(({ state }) => state === 'cached').length).toBeGreaterThan(5);
    expect(steps.filter(({ state }) => state !== 'cached').map(({ name }) => name.replace(/^\[.*\] /, ''))).toEqual(
      (await machines.build('b', from(machines))).ran,
    );
  });

  it('local cache: other programs can read it', async () => {
    await using machines = await open();
    await machines.build('a', to(machines));
    const layout = `oci:${machines.cache}:latest`;
    const raw: string = await checkProgram('skopeo', ['inspect', '--raw', layout]);
    expect(JSON.parse(raw)).toMatchObject({
      config: { mediaType: 'application/vnd.buildkit.cacheconfig.v0' },
    });
    const copy = join(machines.rig.work, 'copy');
    await checkProgram('skopeo', ['copy', layout, `oci:${copy}:latest`]);
    const second = await machines.build('b', ['--cache-from', `type=local,src=${copy}`]);
    expect(second).toMatchObject({ ran: [], warnings: [] });
  });

  it('local cache: holds no argument and no secret in plain text', async () => {
    await using machines = await open();
    await mkdir(join(machines.rig.work, 'secrets'));
    const secret = join(machines.rig.work, 'secrets/token');
    await writeFile(secret, 'sentinel-secret');
    await writeFile(
      join(machines.context, 'Dockerfile'),
      'FROM busybox\nARG NAME\nRUN --mount=type=secret,id=token test -n "$NAME" && test -s /run/secrets/token\n',
    );
    const args = ['--build-arg', 'NAME=sentinel-arg', '--secret', `id=token,src=${secret}`];
    await machines.build('a', [...args, ...to(machines)]);
    const { manifest } = await machines.readCache();
    for (const path of [machines.blobPath(manifest.config.digest), join(machines.cache, 'index.json')]) {
      expect(await readFile(path, 'utf8')).not.toContain('sentinel');
    }
  });
});
