import { expect, test } from 'vitest';
import { describeRecord } from '../../solver/describe-record.ts';
import { formatFields } from '../../solver/cache-key.ts';
import { fileCacheMap } from '../../solver/ops/file.ts';
import type { FileAction } from '../../src/core/graph.ts';

const fieldsOf = (...actions: readonly FileAction[]): string =>
  formatFields(fileCacheMap({ kind: 'file', base: 'input', actions }, { inputs: [] }).fields ?? []);

test.each([
  [
    'a program',
    formatFields([
      ['op', 'exec'],
      ['args', '["/bin/sh","-c","make all"]'],
    ]),
    'exec /bin/sh -c make all',
  ],
  [
    'file actions',
    fieldsOf(
      { type: 'mkdir', path: '/x', mode: 0o755 },
      { type: 'copy', from: 1, sources: ['/a', '/b'], dest: '/x/', exclude: [], parents: 'drop', unpack: 'never' },
      { type: 'write', dest: '/x/', name: 'note', data: Buffer.from('text'), mode: 0o644 },
    ),
    'mkdir /x, copy /a /b to /x/, write note to /x/',
  ],
  ['a stack that was pulled', '[]', ''],
])('a record is described: %s', (_name, fields, description) => {
  expect(describeRecord(fields)).toBe(description);
});
