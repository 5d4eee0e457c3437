import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { maskSecrets } from '../../solver/secret-mask.ts';

function masked(values: readonly string[], chunks: readonly string[]): string {
  let seen = '';
  const output = maskSecrets(
    values.map((value) => Buffer.from(value)),
    (_stream, chunk) => {
      seen += Buffer.from(chunk).toString();
    },
  );
  for (const chunk of chunks) output.write('stdout', Buffer.from(chunk));
  output.flush();
  return seen;
}

describe('secret mask', () => {
  test('hides a value, also without its last newline and in base64', () => {
    expect(masked(['hunter22\n'], ['a hunter22 b'])).toBe('a *** b');
    expect(masked(['hunter22\n'], [`x ${Buffer.from('hunter22').toString('base64')} y`])).toMatch(/^x \*\*\*=* y$/);
  });

  test('hides a value that chunks cut anywhere', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { maxLength: 6 }), (cuts) => {
        const text = 'before s3cr3t-value middle s3cr3t-value after';
        const edges = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        const chunks = edges.slice(1).map((edge, index) => text.slice(edges[index], edge));
        expect(masked(['s3cr3t-value'], chunks)).toBe('before *** middle *** after');
      }),
    );
  });

  test('leaves output as it is where there is nothing to hide', () => {
    expect(masked([], ['one', 'two'])).toBe('onetwo');
    expect(masked(['abc'], ['abc'])).toBe('abc');
  });

  test('keeps the streams apart', () => {
    const seen: string[] = [];
    const output = maskSecrets([Buffer.from('secret')], (stream, chunk) =>
      seen.push(`${stream}:${Buffer.from(chunk).toString()}`),
    );
    output.write('stdout', Buffer.from('x sec'));
    output.write('stderr', Buffer.from('ret y'));
    output.flush();
    expect(seen).toEqual(['stdout:x ', 'stderr:ret y', 'stdout:sec']);
  });
});
