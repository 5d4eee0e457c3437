import { describe, expect, test } from 'vitest';
import { cacheKey } from '../../solver/cache-key.ts';
import { execCacheMap } from '../../solver/ops/exec.ts';
import { fileCacheMap } from '../../solver/ops/file.ts';
import type { CopyAction, ExecMount, ExecOp, FileOp, Source, Vertex, VertexId } from '../../src/core/graph.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { execOp } from './exec-op.ts';

function keyOf(op: ExecOp): string {
  return cacheKey('recipe', execCacheMap(op, { inputs: [] }).fields ?? []);
}

function sourceVertex(source: Source): Vertex {
  return { id: 'v' as VertexId, op: { kind: 'source', source }, inputs: [], meta: { name: 'source' } };
}

const image = sourceVertex({
  type: 'image',
  reference: 'docker.io/library/busybox:latest',
  digest: digestOf('manifest'),
  platform: { os: 'linux', architecture: 'amd64' },
});
const context = sourceVertex({ type: 'local', name: 'context' });
const bind = (input: number, source: string): ExecMount => ({
  type: 'bind',
  target: '/mnt',
  input,
  source,
  writes: 'refuse',
});
const cache: ExecMount = {
  type: 'cache',
  target: '/c',
  id: 'a',
  sharing: 'shared',
  writes: 'keep',
  source: '/',
  mode: 0o755,
  uid: 0,
  gid: 0,
};
const secret: ExecMount = { type: 'secret', target: '/s', id: 'a', presence: 'optional', mode: 0o400, uid: 0, gid: 0 };

describe('key of RUN', () => {
  test.each<[string, Partial<ExecOp>]>([
    ['an argument', { args: ['/bin/sh', '-c', 'make all'] }],
    ['a variable', { env: ['PATH=/usr/bin', 'A=2'] }],
    ['the order of variables', { env: ['A=1', 'PATH=/usr/bin'] }],
    ['the working directory', { cwd: '/src' }],
    ['the user', { user: 'app' }],
    ['the network', { network: 'none' }],
    ['the security mode', { security: 'insecure' }],
    ['a mount', { mounts: [secret] }],
    ['the name of an extra host', { extraHosts: [{ host: 'db', address: '10.0.0.1' }] }],
    ['a limit of the process', { ulimits: [{ name: 'nofile', soft: 1, hard: 1 }] }],
    ['the platform (trap 45)', { platform: { os: 'linux', architecture: 'arm64' } }],
  ])('changes with %s', (_what, changes) => {
    expect(keyOf(execOp(changes))).not.toBe(keyOf(execOp()));
  });

  test.each<[string, Partial<ExecOp>, Partial<ExecOp>]>([
    ['proxies', {}, { proxyEnv: ['http_proxy=http://user:password@proxy'] }],
    ['limits of the cgroup', {}, { resources: { memoryBytes: 1 << 20, cpuShares: 2 } }],
    [
      'the address of an extra host',
      { extraHosts: [{ host: 'db', address: '1' }] },
      { extraHosts: [{ host: 'db', address: '2' }] },
    ],
    [
      'the id and sharing of a cache mount',
      { mounts: [cache] },
      { mounts: [{ ...cache, id: 'b', sharing: 'locked' }] },
    ],
  ])('does not change with %s', (_what, one, other) => {
    expect(keyOf(execOp(one))).toBe(keyOf(execOp(other)));
  });
});

describe('inputs of RUN', () => {
  test('the root counts by identity, a folder of another tree by its content', () => {
    const op = execOp({ root: 'input', mounts: [bind(1, '/src')] });
    expect(execCacheMap(op, { inputs: [image, image] }).inputs).toEqual([
      { by: 'identity' },
      { by: 'content', selections: [{ paths: ['/src'], exclude: [], parents: 'drop' }] },
    ]);
  });

  test('a whole image counts by its layers, a whole build context by its content', () => {
    const op = execOp({ mounts: [bind(0, '/'), bind(1, '/')] });
    expect(execCacheMap(op, { inputs: [image, context] }).inputs).toEqual([
      { by: 'identity' },
      { by: 'content', selections: [{ paths: ['/'], exclude: [], parents: 'drop' }] },
    ]);
  });

  test('the seed of a cache mount from a build context counts as nothing', () => {
    const op = execOp({ mounts: [{ ...cache, input: 0 }] });
    expect(execCacheMap(op, { inputs: [context] }).inputs).toEqual([{ by: 'content', selections: [] }]);
  });
});

describe('inputs of COPY', () => {
  const action: CopyAction = {
    type: 'copy',
    from: 1,
    sources: ['/a', '/b*'],
    dest: '/x/',
    exclude: ['*.o'],
    parents: 'drop',
    unpack: 'never',
  };
  const copy: FileOp = { kind: 'file', base: 'input', actions: [action] };
  const changed = (change: Partial<CopyAction>): FileOp => ({ ...copy, actions: [{ ...action, ...change }] });

  test('the base counts by identity, the source by the files that are copied', () => {
    expect(fileCacheMap(copy, { inputs: [image, context] }).inputs).toEqual([
      { by: 'identity' },
      { by: 'content', selections: [{ paths: ['/a', '/b*'], exclude: ['*.o'], parents: 'drop' }] },
    ]);
  });

  test.each<[string, FileOp]>([
    ['what several sources to one file come to', { ...copy, clash: 'replace' }],
    ['what an unknown owner means', changed({ owner: { user: 'app', unknown: 'ignore' } })],
    ['whether excluded files may be named', changed({ excludeNamed: 'copy' })],
  ])('the key tells %s', (_what, lenient) => {
    const strict = changed({ owner: { user: 'app' } });
    const keys = [copy, strict, lenient].map((op) =>
      cacheKey('recipe', fileCacheMap(op, { inputs: [image, context] }).fields ?? []),
    );
    expect(new Set(keys).size).toBe(3);
  });

  test('files that are spared by exclude patterns are part of what is copied', () => {
    expect(fileCacheMap(changed({ excludeNamed: 'copy' }), { inputs: [image, context] }).inputs[1]).toEqual({
      by: 'content',
      selections: [{ paths: ['/a', '/b*'], exclude: ['*.o'], parents: 'drop', excludeNamed: 'copy' }],
    });
  });

  test('the tree that gives names their ids counts by identity', () => {
    const linked: FileOp = { ...copy, base: 'scratch', users: 0 };
    expect(fileCacheMap(linked, { inputs: [image, context] }).inputs[0]).toEqual({ by: 'identity' });
  });
});
