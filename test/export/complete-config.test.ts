import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { completeConfig } from '../../src/export/complete-config.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { HistoryEntry } from '../../src/oci/image-config.ts';

const platform = { architecture: 'amd64', os: 'linux', config: {} };
const [T1, T2, T3] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'] as const;
const empty = (created_by: string): HistoryEntry => ({ created_by, empty_layer: true });

function layer(
  name: string,
  created?: string,
): { readonly diffId: ReturnType<typeof digestOf>; readonly created?: string } {
  return { diffId: digestOf(name), ...(created !== undefined && { created }) };
}

describe('completeConfig', () => {
  it("history: entries get their layer's time, empty ones that of the entry before", () => {
    const history = [empty('ARG'), { created_by: 'COPY' }, empty('ENV'), { created_by: 'RUN' }, empty('CMD')];
    const config = completeConfig({ config: platform, history }, [layer('a', T1), layer('b', T2)]);
    expect(config.history.map(({ created }) => created)).toEqual([T1, T1, T1, T2, T2]);
    expect(config.created).toBe(T2);
    expect(config.rootfs).toEqual({ type: 'layers', diff_ids: [digestOf('a'), digestOf('b')] });
  });
  it('history: times of the base stay, and its last one holds for what adds no layer', () => {
    const history = [{ created_by: 'ADD', created: T3 }, empty('CMD')];
    const config = completeConfig({ config: platform, history }, [layer('a')]);
    expect(config.history.map(({ created }) => created)).toEqual([T3, T3]);
    expect(config.created).toBe(T3);
  });
  it('SOURCE_DATE_EPOCH: nothing is later, what is earlier stays', () => {
    const epochSeconds = Date.parse(T2) / 1000;
    const history = [{ created: T1 }, { created: T3 }, { created_by: 'RUN' }, empty('CMD')];
    const config = completeConfig(
      { config: platform, history },
      ['a', 'b', 'c'].map((name) => layer(name, T3)),
      epochSeconds,
    );
    expect(config.history.map(({ created }) => created)).toEqual([T1, T2, T2, T2]);
    expect(config.created).toBe(T2);
  });
  it('no layers, no history: the epoch, not the clock', () => {
    expect(completeConfig({ config: platform, history: [] }, []).created).toBe('1970-01-01T00:00:00Z');
    expect(completeConfig({ config: platform, history: [empty('CMD')] }, []).history[0]?.created).toBe(
      '1970-01-01T00:00:00Z',
    );
  });
  it('a base without history, or with too much of it: the newest entries keep their layers', () => {
    const missing = completeConfig({ config: platform, history: [{ created_by: 'RUN' }] }, [
      layer('a'),
      layer('b', T2),
    ]);
    expect(missing.history.map(({ created_by }) => created_by)).toEqual([undefined, 'RUN']);
    const surplus = completeConfig({ config: platform, history: [{}, {}, { created_by: 'RUN' }] }, [layer('b', T2)]);
    expect(surplus.history.map(({ empty_layer }) => empty_layer)).toEqual([true, true, undefined]);
  });
  it('always: one non-empty entry per layer, every entry dated, never after created', () => {
    const entry = fc.record({ empty_layer: fc.boolean(), created: fc.constantFrom(T1, T2, T3) }, { requiredKeys: [] });
    const property = fc.property(fc.array(entry), fc.array(fc.constantFrom(T1, T2, T3)), (history, times) => {
      const config = completeConfig(
        { config: platform, history },
        times.map((time, i) => layer(`${i}`, time)),
      );
      expect(config.history.filter(({ empty_layer }) => empty_layer !== true)).toHaveLength(times.length);
      expect(config.history.every(({ created }) => created !== undefined)).toBe(true);
      expect(config.created).toBe(config.history.at(-1)?.created ?? '1970-01-01T00:00:00Z');
    });
    fc.assert(property);
  });
});
