import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type BusyboxRegistry, openBusyboxRegistry } from '../support/busybox-image.ts';
import { type CacheMachines, openCacheMachines } from '../support/cache-machines.ts';
import { type DockerRegistry, openDockerRegistry } from '../support/docker-registry.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';

describeWith(['root', 'skopeo', 'docker-registry', 'busybox'], 'e2e remote cache: registry', () => {
  let bases: BusyboxRegistry;
  let server: DockerRegistry;
  let ref: string;
  let count = 0;
  beforeAll(async () => {
    bases = await openBusyboxRegistry();
    server = await openDockerRegistry();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await bases[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    count++;
    ref = `${server.host}/test/app${count}`;
    server.takeRequests();
  });

  const open = (): Promise<CacheMachines & AsyncDisposable> => openCacheMachines(bases.flags);
  const pushAs = (tag: string): readonly string[] => ['--output', `type=registry,name=${ref}:${tag}`];
  const configOf = async (tag: string): Promise<Record<string, unknown>> => {
    const args = ['inspect', '--raw', '--config', '--tls-verify=false', `docker://${ref}:${tag}`];
    return JSON.parse(await checkProgram('skopeo', args)) as Record<string, unknown>;
  };
  const requested = (pattern: RegExp): readonly string[] => server.takeRequests().filter((line) => pattern.test(line));

  it.each(['', ',image-manifest=false', ',oci-mediatypes=false'])(
    'registry cache (%s): a fresh machine runs nothing and pushes the same image',
    async (options) => {
      await using machines = await open();
      const push = pushAs('v1');
      const first = await machines.build('a', [
        ...push,
        '--cache-to',
        `type=registry,ref=${ref}:cache,mode=max${options}`,
      ]);
      const second = await machines.build('b', [...push, '--cache-from', `${ref}:cache`]);
      expect(second).toMatchObject({ ran: [], warnings: [], digest: first.digest });
    },
  );

  it('registry cache: only what the image has is fetched, nothing at all without an output', async () => {
    await using machines = await open();
    const image = pushAs('v1');
    await machines.build('a', [...image, '--cache-to', `type=registry,ref=${ref}:cache,mode=max`]);
    const inspected = JSON.parse(
      await checkProgram('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${ref}:v1`]),
    ) as { layers: { digest: string }[] };
    server.takeRequests();
    const cache = ['--cache-from', `${ref}:cache`];
    await machines.build('b', [...cache, '-o', 'type=cacheonly']);
    // The cache's config is a blob as well.
    expect(requested(/^GET .*\/blobs\/sha256/)).toHaveLength(1);
    await machines.build('b', cache);
    const fetched = new Set(requested(/^GET .*\/blobs\/sha256/).map((line) => line.replace(/.*\//, '')));
    const layers = new Set(inspected.layers.map(({ digest }) => digest));
    expect([...layers].filter((digest) => !fetched.has(digest))).toEqual([]);
    expect(fetched.size).toBe(layers.size + 1);
    await machines.build('b', cache);
    expect(requested(/^GET .*\/blobs\/sha256/)).toHaveLength(1);
  });

  it('registry cache: what is there is not sent again', async () => {
    await using machines = await open();
    const to = ['-o', 'type=cacheonly', '--cache-to', `type=registry,ref=${ref}:cache,mode=max`];
    await machines.build('a', to);
    expect(requested(/^PUT .*\/blobs\/uploads/)).not.toEqual([]);
    await machines.build('a', to);
    expect(requested(/^(PUT|PATCH|POST) .*\/blobs\/uploads/)).toEqual([]);
    await machines.build('b', [...to, '--cache-from', `${ref}:cache`]);
    expect(requested(/^(PUT|PATCH|POST) .*\/blobs\/uploads|^GET .*\/blobs/)).toHaveLength(1);
    await writeFile(join(machines.context, 'other/folder/file'), 'changed\n');
    await machines.build('a', to);
    // Two layers and the config.
    expect(requested(/^PUT .*\/blobs\/uploads/)).toHaveLength(3);
  });

  it('registry cache: what a machine only knows can be left in another registry', async () => {
    await using machines = await open();
    const other = `${bases.host}/test/other${count}`;
    await machines.build('a', ['-o', 'type=cacheonly', '--cache-to', `${ref}:cache`]);
    const second = await machines.build('b', [
      '-o',
      'type=cacheonly',
      '--cache-from',
      `${ref}:cache`,
      '--cache-to',
      `type=registry,ref=${other}:cache`,
    ]);
    expect(second).toMatchObject({ ran: [], warnings: [] });
    expect(await machines.build('c', ['--cache-from', `${other}:cache`])).toMatchObject({ ran: [], warnings: [] });
  });

  it('registry cache: a registry that is not there is told once, and the build goes on', async () => {
    await using machines = await open();
    const nowhere = '127.0.0.1:1/app:cache';
    const { warnings, ran } = await machines.build('a', ['--cache-from', nowhere, '--cache-to', nowhere]);
    expect(ran).not.toEqual([]);
    expect(warnings).toEqual([
      expect.stringContaining(`cache import from ${nowhere} failed: `),
      expect.stringContaining(`cache export to ${nowhere} failed: `),
    ]);
  });

  it('inline cache: a fresh machine runs what is not in the image, and no step of the image', async () => {
    await using machines = await open();
    const push = [...pushAs('v1'), '--cache-to', 'type=inline'];
    const first = await machines.build('a', push);
    const second = await machines.build('b', [...push, '--cache-from', `${ref}:v1`]);
    expect(second).toMatchObject({ ran: [], warnings: [], digest: first.digest });
    await writeFile(join(machines.context, 'other/folder/file'), 'changed\n');
    expect((await machines.build('c', ['--cache-from', `${ref}:v1`])).ran).toHaveLength(2);
  });

  it('inline cache: the image is what it is without, but for that member of its config', async () => {
    await using machines = await open();
    await machines.build('a', pushAs('plain'));
    await machines.build('a', [...pushAs('cached'), '--cache-to', 'type=inline']);
    const { 'moby.buildkit.cache.v0': records, ...rest } = await configOf('cached');
    expect(records).toEqual(expect.any(String));
    expect(rest).toEqual(await configOf('plain'));
  });

  it('registry cache: holds the steps of several platforms', async () => {
    await using machines = await open();
    await writeFile(join(machines.context, 'Dockerfile'), 'FROM scratch\nCOPY source.txt /\nCOPY other /other\n');
    const platforms = ['--platform', 'linux/amd64,linux/arm64', '--output', `type=registry,name=${ref}:v1`];
    const inline = ['--cache-to', 'type=inline'];
    const first = await machines.build('a', [...platforms, ...inline, '--cache-to', `${ref}:cache`]);
    for (const [machine, from] of [
      ['b', `${ref}:cache`],
      ['c', `${ref}:v1`],
    ] as const) {
      const again = await machines.build(machine, [...platforms, ...inline, '--cache-from', from]);
      expect(again).toMatchObject({ ran: [], warnings: [], digest: first.digest });
    }
  });
});
