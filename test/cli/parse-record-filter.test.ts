import { expect, test } from 'vitest';
import { parseRecordFilter } from '../../src/cli/parse-record-filter.ts';
import { isSelected, type StoreRecord } from '../../src/core/store-record.ts';
import { thrown } from './thrown.ts';

const layer: StoreRecord = {
  id: 'abc123',
  kind: 'cache layers',
  type: 'regular',
  description: 'exec /bin/sh -c make all',
  parents: ['p1', 'p2'],
  createdMs: 0,
  usedMs: 0,
  inUse: 'no',
  mutable: 'no',
  shared: 'yes',
};

test.each([
  ['id=abc', 'yes'],
  ['id==abc', 'no'],
  ['id==abc123', 'yes'],
  ['id!=abc123', 'no'],
  ['id~=^abc\\d+$', 'yes'],
  ['parents=p2', 'yes'],
  ['parents=p1;p2', 'yes'],
  ['parents=p2;p1', 'no'],
  ['parents!=p1', 'no'],
  ['parents~=^p1;', 'yes'],
  ['description=sh -c make', 'yes'],
  ['description="exec /bin/sh -c make all"', 'yes'],
  ['description==make', 'no'],
  ['description~=make|test', 'yes'],
  ['description!=make', 'yes'],
  ['type=regular', 'yes'],
  ['type==internal', 'no'],
  ['type!=exec.cachemount', 'yes'],
  ['type~=^source\\.', 'no'],
  ['inuse', 'no'],
  ['inuse=false', 'yes'],
  ['inuse!=true', 'yes'],
  ['mutable', 'no'],
  ['immutable', 'yes'],
  ['Immutable=0', 'no'],
  ['shared', 'yes'],
  ['shared==1', 'yes'],
  ['private', 'no'],
  ['private!=true', 'yes'],
])('filter %s selects the layer: %s', (text, expected) => {
  expect(isSelected(layer, parseRecordFilter([text]).selectors) ? 'yes' : 'no').toBe(expected);
});

test('several filters: all must hold, and the longest time counts', () => {
  const { selectors, untilMs } = parseRecordFilter(['until=1h30m', 'shared', 'unused-for=24h', 'type=regular']);
  expect(untilMs).toBe(86_400_000);
  expect(isSelected(layer, selectors)).toBe(true);
  expect(isSelected({ ...layer, shared: 'no' }, selectors)).toBe(false);
  expect(isSelected(layer, [])).toBe(true);
});

test.each([
  ['typ=regular', 'unknown filter "typ"', 'did you mean type?'],
  ['=x', 'unknown filter "=x"', 'choose from: until,'],
  ['type=regula', 'unknown type "regula"', 'did you mean regular?'],
  ['type', 'type takes a value', 'type=VALUE'],
  ['until', 'until takes a duration', 'until=24h'],
  ['until!=24h', 'until takes a duration', 'until=24h'],
  ['until=soon', 'invalid duration "soon"', '24h'],
  ['inuse=maybe', 'inuse is true or false, not "maybe"', 'inuse=false'],
  ['shared~=true', 'shared is true or false', 'shared=false'],
  ['id~=(', 'regular expression', ''],
])('filter %s is refused', (text, message, hint) => {
  const error = thrown(() => parseRecordFilter([text]));
  expect([error.code, error.message, error.hint ?? '']).toEqual([
    'USAGE',
    expect.stringContaining(message),
    expect.stringContaining(hint),
  ]);
});
