import { describe, expect, test } from 'vitest';
import type { CacheConfig } from '../../src/oci/cache-config.ts';
import {
  decodeCacheConfig,
  encodeCacheConfig,
  decodeInlineCache,
  encodeInlineCache,
} from '../../src/oci/cache-config.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { importedRecords, nodesUpTo } from '../../src/source/cache-records.ts';

const KEY = digestOf('key');
const diffId = (name: string) => digestOf(`content of ${name}`);

function blob(name: string, more: Partial<Descriptor> = {}): Descriptor {
  return { mediaType: MediaTypes.layerGzip, digest: digestOf(name), size: 1, ...more };
}

function layer(name: string, parent: number): CacheConfig['layers'][number] {
  return { blob: digestOf(name), parent, annotations: { diffID: diffId(name), createdAt: '2026-01-02T03:04:05.678Z' } };
}

function stacksOf(config: CacheConfig, blobs: readonly Descriptor[]): readonly (readonly string[])[] {
  const records = importedRecords({ config: decodeCacheConfig(encodeCacheConfig(config)), blobs });
  return records.map(({ top }) => nodesUpTo(top).map((node) => node.layer.diffId));
}

describe('cache records', () => {
  test('a result is the chain of parents of its layer', () => {
    const config = { layers: [layer('b', 1), layer('a', -1)], records: [{ digest: KEY, layers: [{ layer: 0 }] }] };
    const [record] = importedRecords({ config, blobs: [blob('a'), blob('b')] });
    expect(nodesUpTo(record?.top).map((node) => node.layer.diffId)).toEqual([diffId('a'), diffId('b')]);
    expect(record).toMatchObject({ key: KEY, createdMs: Date.parse('2026-01-02T03:04:05.678Z') });
  });

  test('a result is a list of layers in an order of its own', () => {
    const config = {
      layers: [layer('a', -1), layer('b', 0), layer('c', 1)],
      records: [{ digest: KEY, chains: [{ layers: [0, 2] }] }],
    };
    expect(stacksOf(config, [blob('a'), blob('b'), blob('c')])).toEqual([[diffId('a'), diffId('c')]]);
  });

  test("BuildKit's own: an absent parent is the first layer, annotations are the descriptors', records may have no result", () => {
    const text = `{"layers":[{"blob":"${digestOf('a')}","parent":-1},{"blob":"${digestOf('b')}"}],"records":[
      {"digest":"${KEY}","layers":[{"layer":1,"createdAt":"2026-01-02T03:04:05.6789Z"}],"inputs":[[{"selector":"x","link":1}]]},
      {"digest":"${digestOf('other')}"},{"digest":"random:1","layers":[{"layer":0}]}]}`;
    const blobs = ['a', 'b'].map((name) =>
      blob(name, {
        annotations: { 'containerd.io/uncompressed': diffId(name), 'buildkit/createdat': '2026-01-01T00:00:00Z' },
      }),
    );
    const records = importedRecords({ config: decodeCacheConfig(Buffer.from(text)), blobs });
    expect(records.map(({ key }) => key)).toEqual([KEY]);
    expect(nodesUpTo(records[0]?.top).map((node) => node.layer.diffId)).toEqual([diffId('a'), diffId('b')]);
  });

  test.each([
    ['a blob that is not listed', [blob('a')]],
    ['a layer of an unknown type', [blob('a'), blob('b', { mediaType: 'application/vnd.example' })]],
  ])('a result with %s is left out', (_, blobs) => {
    const config = {
      layers: [layer('a', -1), layer('b', 0), layer('c', 1)],
      records: [1, 2, 0].map((top) => ({ digest: digestOf(String(top)), layers: [{ layer: top }] })),
    };
    expect(stacksOf(config, [...blobs, blob('c')])).toEqual([[diffId('a')]]);
  });

  test.each([
    ['there is no layer 7', [layer('a', -1)], 7],
    ['there is no layer 9', [layer('a', 9)], 0],
    ['layer 0 lies on itself', [layer('a', 1), layer('b', 0)], 0],
  ])('%s: the cache is malformed', (reason, layers, top) => {
    const config = { layers, records: [{ digest: KEY, layers: [{ layer: top }] }] };
    expect(() => importedRecords({ config, blobs: [blob('a'), blob('b')] })).toThrow(reason);
  });

  test('a time that is none makes the cache malformed', () => {
    const config = { layers: [layer('a', -1)], records: [{ digest: KEY, layers: [{ layer: 0, createdAt: 'soon' }] }] };
    expect(() => importedRecords({ config, blobs: [blob('a')] })).toThrow('"soon" is no time');
  });

  test('a long chain of layers takes no more memory than there are layers', () => {
    const count = 20_000;
    const layers = Array.from({ length: count }, (_, index) => layer('a', index - 1));
    const records = Array.from({ length: count }, (_, top) => ({
      digest: digestOf(String(top)),
      layers: [{ layer: top }],
    }));
    expect(importedRecords({ config: { layers, records }, blobs: [blob('a')] })).toHaveLength(count);
  });

  test.each([
    ['{"layers":[{"blob":"sha256:1"}]}', 'cache config: layers.0.blob'],
    ['{"records":[{"layers":[{"layer":-1}]}]}', 'cache config: records.0.layers.0.layer'],
    ['[', 'cache config is not JSON'],
  ])('%s is refused with the place', (text, reason) => {
    expect(() => decodeCacheConfig(Buffer.from(text))).toThrow(reason);
  });

  test('an image config holds the records of an inline cache', () => {
    const records = [{ digest: KEY, layers: [{ layer: 0 }] }];
    const config = Buffer.from(JSON.stringify({ 'moby.buildkit.cache.v0': encodeInlineCache(records) }));
    expect(decodeInlineCache(config)).toEqual(records);
    expect(decodeInlineCache(Buffer.from('{}'))).toBeUndefined();
    expect(() => decodeInlineCache(Buffer.from('{"moby.buildkit.cache.v0":"e30="}'))).toThrow('inline cache');
  });
});
