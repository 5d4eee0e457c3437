import { describe, expect, it } from 'vitest';
import type { CacheIndex, CacheKey, CacheRecord, LayerInfo, StepRecord } from '../../src/core/cache.ts';
import type { LayerId } from '../../src/core/snapshot.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';

/** An index to be tested, and its end. */
export interface CacheIndexUnderTest extends AsyncDisposable {
  readonly cache: CacheIndex;
}

/** A key for tests. */
export function cacheKey(text: string): CacheKey {
  return digestOf(text) as CacheKey;
}

/** A record for tests. */
export function cacheRecord(...stack: readonly string[]): CacheRecord {
  return {
    stack: stack as readonly LayerId[],
    createdMs: 1_700_000_000_000,
    durationMs: 12.5,
    fields: '{"op":"exec"}',
  };
}

/** A step for tests. */
export function stepRecord(stage: string, position: number, o: Partial<StepRecord> = {}): StepRecord {
  return { stage, position, text: 'RUN make', trace: '{}', ...o };
}

/** What is known of the layer `id`. */
export function layerInfo(id: string, o: Partial<LayerInfo> = {}): LayerInfo {
  return { layer: id as LayerId, diffId: digestOf(`tar of ${id}`), size: 1024, createdMs: 1_700_000_000_000, ...o };
}

/** What every cache index does. */
export function cacheIndexContract(name: string, open: () => Promise<CacheIndexUnderTest>): void {
  describe(`cache index: ${name}`, () => {
    it('lookup: finds what was recorded under each of its keys, and nothing else', async () => {
      await using index = await open();
      const record = cacheRecord('a', 'b');
      await index.cache.record([cacheKey('recipe'), cacheKey('result')], record);
      expect(await index.cache.lookup(cacheKey('recipe'))).toEqual(record);
      expect(await index.cache.lookup(cacheKey('result'))).toEqual(record);
      expect(await index.cache.lookup(cacheKey('other'))).toBeUndefined();
    });
    it('record: the last one for a key counts', async () => {
      await using index = await open();
      await index.cache.record([cacheKey('k'), cacheKey('l')], cacheRecord('a'));
      await index.cache.record([cacheKey('k')], cacheRecord('b'));
      expect((await index.cache.lookup(cacheKey('k')))?.stack).toEqual(['b']);
      expect((await index.cache.lookup(cacheKey('l')))?.stack).toEqual(['a']);
    });
    it('record: is found before it was waited for', async () => {
      await using index = await open();
      const recorded = index.cache.record([cacheKey('k')], cacheRecord('a'));
      expect((await index.cache.lookup(cacheKey('k')))?.stack).toEqual(['a']);
      await recorded;
    });
    it('record: an empty stack and odd text are kept', async () => {
      await using index = await open();
      const record = { ...cacheRecord(), fields: '{"a":"\u0000é\\u2028\'\\""}' };
      await index.cache.record([cacheKey('k')], record);
      expect(await index.cache.lookup(cacheKey('k'))).toEqual(record);
    });
    it('steps: those of one build, by stage and position', async () => {
      await using index = await open();
      const steps = [stepRecord('b', 0), stepRecord('a', 1), stepRecord('a', 0, { durationMs: 12.5 })];
      await index.cache.recordSteps('one', steps);
      await index.cache.recordSteps('other', [stepRecord('z', 9)]);
      expect(await index.cache.lookupSteps('one')).toEqual(steps.toReversed());
      expect(await index.cache.lookupSteps('none')).toEqual([]);
    });
    it('steps: what comes later takes the place, but for a duration it does not know', async () => {
      await using index = await open();
      await index.cache.recordSteps('one', [stepRecord('a', 0, { durationMs: 3 }), stepRecord('a', 1)]);
      await index.cache.recordSteps('one', [stepRecord('a', 0, { text: 'RUN test', trace: '2' })]);
      expect(await index.cache.lookupSteps('one')).toEqual([
        stepRecord('a', 0, { text: 'RUN test', trace: '2', durationMs: 3 }),
        stepRecord('a', 1),
      ]);
    });
    it('layers: by name, also where several hold the same', async () => {
      await using index = await open();
      const [a, b] = [layerInfo('a'), layerInfo('b', { diffId: layerInfo('a').diffId, createdMs: 1_800_000_000_000 })];
      await index.cache.recordLayer(b);
      await index.cache.recordLayer(a);
      expect(await index.cache.lookupLayer(a.layer)).toEqual(a);
      expect(await index.cache.lookupLayer(b.layer)).toEqual(b);
      expect(await index.cache.lookupLayer('none' as LayerId)).toBeUndefined();
    });
    it('layers: the time first recorded stays', async () => {
      await using index = await open();
      await index.cache.recordLayer(layerInfo('a'));
      await index.cache.recordLayer(layerInfo('a', { createdMs: 1_900_000_000_000, size: 99 }));
      expect(await index.cache.lookupLayer('a' as LayerId)).toEqual(layerInfo('a', { size: 99 }));
    });
    it('blobs: by diff ID and options, and back', async () => {
      await using index = await open();
      const { diffId } = layerInfo('a');
      const blob: Descriptor = {
        mediaType: MediaTypes.layerGzip,
        digest: digestOf('gz'),
        size: 7,
        annotations: { a: 'b' },
      };
      await index.cache.recordBlob(diffId, 'gzip:6', blob);
      expect(await index.cache.lookupBlob(diffId, 'gzip:6')).toEqual(blob);
      expect(await index.cache.lookupBlob(diffId, 'gzip:9')).toBeUndefined();
      expect(await index.cache.lookupBlobDiffId(blob.digest)).toBe(diffId);
      expect(await index.cache.lookupBlobDiffId(digestOf('none'))).toBeUndefined();
    });
    it('record: a thousand at once', async () => {
      await using index = await open();
      const keys = Array.from({ length: 1000 }, (_, i) => cacheKey(`key ${i}`));
      await Promise.all(keys.map((key, i) => index.cache.record([key], cacheRecord(`layer ${i}`))));
      const found = await Promise.all(keys.map((key) => index.cache.lookup(key)));
      expect(found.map((record) => record?.stack[0])).toEqual(keys.map((_, i) => `layer ${i}`));
    });
  });
}
