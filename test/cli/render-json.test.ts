import { expect, test } from 'vitest';
import { jsonRenderer } from '../../src/cli/render-json.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { at, play } from './events.ts';

test('rawjson: every line is a SolveStatus', () => {
  let text = '';
  play(
    jsonRenderer((part) => (text += part)),
    [
      at.planned(0, 'a', 'b'),
      at.started(1, 'a'),
      at.output(2, 'a', 'hé\n', 'stderr'),
      at.status(3, 'a', { id: 'blob', current: 2, total: 2 }),
      at.done(4, 'a', 'yes'),
      at.failed(5, 'b', new Error('broken')),
      at.warning(6, {
        severity: 'warning',
        code: 'Rule',
        message: 'what',
        help: 'how',
        url: 'https://example.com',
        range: { file: 'Dockerfile', start: { line: 3, column: 1 }, end: { line: 3, column: 5 } },
      }),
    ],
  );
  const [a, b] = [digestOf('a'), digestOf('b')];
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line)),
  ).toEqual([
    {
      vertexes: [
        { digest: a, name: 'a' },
        { digest: b, inputs: [a], name: 'b' },
      ],
    },
    { vertexes: [{ digest: a, name: 'a', started: time(1) }] },
    { logs: [{ vertex: a, stream: 2, data: Buffer.from('hé\n').toString('base64'), timestamp: time(2) }] },
    {
      statuses: [
        { id: 'blob', vertex: a, total: 2, current: 2, timestamp: time(3), started: time(3), completed: time(3) },
      ],
    },
    { vertexes: [{ digest: a, name: 'a', started: time(1), completed: time(4), cached: true }] },
    { vertexes: [{ digest: b, inputs: [a], name: 'b', started: time(5), completed: time(5), error: 'broken' }] },
    {
      warnings: [
        {
          level: 1,
          short: Buffer.from('Rule: what').toString('base64'),
          detail: [Buffer.from('how').toString('base64')],
          url: 'https://example.com',
          sourceInfo: { filename: 'Dockerfile' },
          range: [{ start: { line: 3, character: 0 }, end: { line: 3, character: 4 } }],
        },
      ],
    },
  ]);
});

function time(ms: number): string {
  return `2026-01-02T00:00:00.00${ms}Z`;
}
