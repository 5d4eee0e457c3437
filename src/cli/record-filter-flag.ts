import type { RecordFilter } from '../store-handle.ts';
import type { AnyFlag } from './flag.ts';
import { parseRecordFilter, type RecordFilterText } from './parse-record-filter.ts';

/** Which records a command means. */
export interface RecordFilterFlags {
  readonly filter: RecordFilterText;
}

/** The flag of commands that take BuildKit's filters. */
export const recordFilterFlag: AnyFlag<RecordFilterFlags> = {
  name: 'filter',
  value: 'KEY[OP VALUE]',
  field: 'filter',
  doc: 'only what has until=24h, id, parents, description, type (=, ==, !=, ~=), inuse, mutable, immutable, shared or private; may be repeated, and all must hold',
  parse: parseRecordFilter,
};

/** What the flag means at this time. */
export function toRecordFilter(text: RecordFilterText | undefined, nowMs: number): RecordFilter {
  if (text === undefined) return {};
  const { untilMs, selectors } = text;
  return {
    ...(untilMs === undefined ? {} : { usedBeforeMs: nowMs - untilMs }),
    ...(selectors.length === 0 ? {} : { selectors }),
  };
}
