import { describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run-cli.ts';
import { BuildError } from '../../src/core/error.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { digestHex, digestOf } from '../../src/oci/digest.ts';
import type { ImageInspection, ImageRow, RecordRow, StoreHandle } from '../../src/store-handle.ts';
import { at } from './events.ts';
import { fakeApi, fakeIo, MemoryStream, type FakeIo } from './fake-io.ts';

const nowMs = fakeIo().now();
const short = (text: string): string => digestHex(digestOf(text)).slice(0, 12);

async function run(
  line: string,
  handle: Partial<StoreHandle>,
  o: Parameters<typeof fakeIo>[0] = {},
): Promise<{ status: number; io: FakeIo; stdout: string }> {
  const io = fakeIo(o);
  const status = await runCli(line.split(' '), io, fakeApi({ handle }));
  return { status, io, stdout: io.stdout.text };
}

const rows: readonly ImageRow[] = [
  {
    reference: 'docker.io/library/app:v1',
    image: { mediaType: MediaTypes.manifest, digest: digestOf('m1'), size: 1 },
    configDigest: digestOf('c1'),
    platforms: ['linux/amd64'],
    createdMs: nowMs - 3 * 3_600_000,
    size: 28_123_456,
  },
  {
    reference: 'registry.example:5000/team/app:latest',
    image: { mediaType: MediaTypes.index, digest: digestOf('m2'), size: 1 },
    platforms: ['linux/amd64', 'linux/arm64'],
    createdMs: 0,
    size: 999,
  },
  {
    image: { mediaType: MediaTypes.manifest, digest: digestOf('m3'), size: 1 },
    configDigest: digestOf('c3'),
    platforms: ['linux/amd64'],
    size: 1_500_000_000,
  },
];
const images = (): Promise<readonly ImageRow[]> => Promise.resolve(rows);

const inspection: ImageInspection = {
  reference: 'docker.io/library/app:v1',
  image: { mediaType: MediaTypes.manifest, digest: digestOf('m1'), size: 345 },
  platforms: [
    {
      platform: 'linux/amd64',
      manifest: { mediaType: MediaTypes.manifest, digest: digestOf('m1'), size: 345 },
      configDigest: digestOf('c1'),
      config: {
        created: '2026-01-01T00:00:00Z',
        architecture: 'amd64',
        os: 'linux',
        config: {
          Env: ['A=b'],
          Cmd: ['sh', '-c', 'x'],
          WorkingDir: '/w',
          ExposedPorts: { '80/tcp': {} },
          Labels: { k: 'v' },
        },
        rootfs: { type: 'layers', diff_ids: [digestOf('d1'), digestOf('d2')] },
        history: [
          { created: '2026-01-01T00:00:00Z', created_by: 'COPY a /a # buildkit', comment: 'tsbuild' },
          { created: '1970-01-01T00:00:00Z', created_by: 'ENV A=b', empty_layer: true },
          { created_by: `RUN /bin/sh -c ${'long '.repeat(20)}` },
        ],
      },
      layers: [
        { mediaType: MediaTypes.layerGzip, digest: digestOf('l1'), size: 1000, diffId: digestOf('d1') },
        { mediaType: MediaTypes.layerZstd, digest: digestOf('l2'), size: 2_000_000, diffId: digestOf('d2') },
      ],
    },
  ],
};
const inspect = (): Promise<ImageInspection> => Promise.resolve(inspection);

const remove = (reference: string): ReturnType<StoreHandle['remove']> =>
  reference === 'gone'
    ? Promise.reject(new BuildError('IMAGE_NOT_FOUND', { reference }))
    : Promise.resolve({ untagged: ['docker.io/library/app:v1'], deleted: [digestOf('m1')] });

const load = async ({ path }: Parameters<StoreHandle['load']>[0]): Promise<readonly string[]> =>
  typeof path === 'string' ? [`docker.io/library/${path}`] : [Buffer.concat(await Array.fromAsync(path)).toString()];

const transfer: StoreHandle['pull'] = (reference, { progress, platform }) => {
  progress?.(at.done(0, `transfer for ${platform ?? 'this machine'}`));
  return Promise.resolve({ reference: `docker.io/library/${reference}:latest`, digest: digestOf('m') });
};

const diskUsage: StoreHandle['diskUsage'] = () =>
  Promise.resolve([
    { kind: 'images', count: 2, bytes: 1_000_000, sharedBytes: 0, reclaimableBytes: 250_000 },
    { kind: 'cache mounts', count: 1, bytes: 0, sharedBytes: 0, reclaimableBytes: 0 },
  ]);

describe('images', () => {
  test('are a table', async () => {
    expect((await run('images', { images })).stdout).toBe(
      `REPOSITORY                       TAG      IMAGE ID       PLATFORM                  CREATED         SIZE
app                              v1       ${short('c1')}   linux/amd64               3 hours ago   28.1MB
registry.example:5000/team/app   latest   ${short('m2')}   linux/amd64,linux/arm64   N/A             999B
<none>                           <none>   ${short('c3')}   linux/amd64               N/A           1.50GB
`,
    );
  });
  test('of one name', async () => {
    expect((await run('images app', { images })).stdout.split('\n')).toHaveLength(3);
    expect((await run('images app:v2', { images })).stdout.split('\n')).toHaveLength(2);
  });
  test('as IDs', async () => {
    expect((await run('images -q', { images })).stdout).toBe(`${short('c1')}\n${short('m2')}\n${short('c3')}\n`);
    expect((await run('images -q --no-trunc app', { images })).stdout).toBe(`${digestOf('c1')}\n`);
  });
  test('as JSON', async () => {
    expect(JSON.parse((await run('images --format json', { images })).stdout)).toEqual(rows);
  });
  test('with digests', async () => {
    expect((await run('images --digests app', { images })).stdout).toContain(digestOf('m1'));
  });
});

test('inspect: everything as JSON', async () => {
  expect(JSON.parse((await run('inspect app', { inspect })).stdout)).toEqual([inspection]);
});

test('inspect: what matters as a table', async () => {
  expect((await run('inspect --format=table app', { inspect })).stdout).toBe(`Name:         docker.io/library/app:v1
Digest:       ${digestOf('m1')}
Media type:   application/vnd.oci.image.manifest.v1+json

Platform:     linux/amd64
Manifest:     ${digestOf('m1')}
Image ID:     ${digestOf('c1')}
Created:      2026-01-01T00:00:00Z
Size:         2.00MB in 2 layers
Working dir:  /w
Command:      ["sh","-c","x"]
Ports:        80/tcp
Env:          A=b
Label:        k=v

LAYER                                                                       SIZE   MEDIA TYPE
${digestOf('l1')}   1.00kB   application/vnd.oci.image.layer.v1.tar+gzip
${digestOf('l2')}   2.00MB   application/vnd.oci.image.layer.v1.tar+zstd
`);
});

test('history: instructions with their layers, newest first', async () => {
  expect((await run('history app', { inspect })).stdout)
    .toBe(`CREATED        CREATED BY                                                       SIZE   COMMENT
N/A            RUN /bin/sh -c long long long long long long long long long…   2.00MB
N/A            ENV A=b                                                            0B
24 hours ago   COPY a /a # buildkit                                           1.00kB   tsbuild
`);
});

test('tag: gives every name', async () => {
  const tagged: string[] = [];
  const tag = (from: string, to: string): Promise<void> => Promise.resolve(void tagged.push(`${from} ${to}`));
  expect((await run('tag a b c', { tag })).status).toBe(0);
  expect(tagged).toEqual(['a b', 'a c']);
  expect((await run('tag a', { tag })).io.stderr.text).toBe(
    'error USAGE: tsbuild tag takes at least 2 operands, not 1\nhint: usage: tsbuild tag IMAGE NAME[:TAG]…\n',
  );
});

test('rmi: says what went, and fails for what is not there unless forced', async () => {
  expect((await run('rmi app', { remove })).stdout).toBe(`Untagged: app:v1\nDeleted: ${digestOf('m1')}\n`);
  const failed = await run('rmi gone app', { remove });
  expect([failed.status, failed.io.stderr.text]).toEqual([1, 'error IMAGE_NOT_FOUND: image gone was not found\n']);
  expect((await run('rmi -f gone app', { remove })).status).toBe(0);
});

describe('load', () => {
  test.each([
    ['load -i file', 'Loaded image: file\n'],
    ['load file', 'Loaded image: file\n'],
    ['load -q file', 'file\n'],
    ['load', 'Loaded image: from-stdin\n'],
    ['load -i -', 'Loaded image: from-stdin\n'],
  ])('%s', async (line, stdout) => {
    expect((await run(line, { load }, { stdin: 'from-stdin' })).stdout).toBe(stdout);
  });
});

test('save: to a file, or to standard output that is no terminal', async () => {
  const calls: unknown[] = [];
  const save: StoreHandle['save'] = (references, { dest, format }) =>
    Promise.resolve(void calls.push([references, dest, format]));
  await run('save -o x.tar --format oci-archive a b', { save });
  await run('save a', { save });
  expect(calls).toEqual([
    [['a', 'b'], 'x.tar', 'oci'],
    [['a'], '-', 'docker'],
  ]);
  expect((await run('save a', { save }, { stdout: new MemoryStream('terminal') })).status).toBe(2);
});

test('push and pull: show progress, then the digest', async () => {
  const pulled = await run('pull --platform linux/arm64 app', { pull: transfer });
  expect([pulled.stdout, pulled.io.stderr.text]).toEqual([
    `app:latest ${digestOf('m')}\n`,
    '#1 transfer for linux/arm64\n#1 DONE 0.0s\n\n',
  ]);
  const pushed = await run('push -q app', { push: transfer });
  expect([pushed.stdout, pushed.io.stderr.text]).toEqual([`${digestOf('m')}\n`, '']);
});

test('du: kinds and their sum', async () => {
  expect((await run('du', { diskUsage })).stdout).toBe(`TYPE           COUNT     SIZE   SHARED   RECLAIMABLE
images             2   1.00MB       0B   250kB (25%)
cache mounts       1       0B       0B            0B
total              3   1.00MB       0B   250kB (25%)
`);
});

test('du --verbose: every record, the largest first', async () => {
  const record: RecordRow = {
    id: 'layer1',
    kind: 'cache layers',
    type: 'regular',
    description: 'exec /bin/sh -c make',
    parents: ['base'],
    createdMs: 0,
    usedMs: nowMs - 3_600_000 * 2,
    inUse: 'no',
    mutable: 'no',
    shared: 'yes',
    bytes: 1000,
  };
  const filters: unknown[] = [];
  const records: StoreHandle['records'] = (filter) => {
    filters.push(filter);
    return Promise.resolve([record, { ...record, id: 'layer2', parents: [], bytes: 2000 }]);
  };
  const { stdout } = await run('du --verbose --filter type=regular --filter until=1h', { records });
  expect(stdout).toContain(`
ID:           layer1
Parents:      base
Kind:         cache layers
Type:         regular
Description:  exec /bin/sh -c make
Created at:   1970-01-01T00:00:00.000Z
Last used:    2 hours ago
Mutable:      false
Reclaimable:  true
Shared:       true
Size:         1.00kB
`);
  expect(stdout.indexOf('layer2')).toBeLessThan(stdout.indexOf('layer1'));
  const selectors = [{ field: 'type', operator: 'equals', value: 'regular' }];
  expect(filters).toEqual([{ usedBeforeMs: nowMs - 3_600_000, selectors }]);
  const json = await run('du --verbose --format json', { records });
  expect(JSON.parse(json.stdout)).toEqual([expect.objectContaining({ id: 'layer2' }), record]);
});

describe('prune', () => {
  const filters: unknown[] = [];
  const prune: StoreHandle['prune'] = ({ signal: _signal, ...filter }) => {
    filters.push(filter);
    return Promise.resolve({ bytes: 1_230_000, items: 1 });
  };
  test('removes what nothing needs', async () => {
    expect((await run('prune --filter until=24h --max-used-space 1k', { prune })).stdout).toBe(
      'Removed 1 item, 1.23MB freed\n',
    );
    expect(filters.pop()).toEqual({ scope: 'unused', usedBeforeMs: nowMs - 86_400_000, keepBytes: 1024 });
  });
  test('a filter spares names, so that nobody is asked', async () => {
    expect((await run('prune -a --filter type=exec.cachemount', { prune })).status).toBe(0);
    const selectors = [{ field: 'type', operator: 'equals', value: 'exec.cachemount' }];
    expect(filters.pop()).toEqual({ scope: 'all', selectors });
  });
  test.each([
    ['prune -a', 'n\n', 1],
    ['prune -a', '', 1],
    ['prune -a', 'yes\n', 0],
    ['prune -af', '', 0],
  ])('%s answered by %j ends with %i', async (line, stdin, status) => {
    expect((await run(line, { prune }, { stdin })).status).toBe(status);
    expect(filters.pop()).toEqual(status === 0 ? { scope: 'all' } : undefined);
  });
});
