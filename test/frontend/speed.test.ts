import { describe, expect, it } from 'vitest';
import { lower } from '../../frontend/lower.ts';
import { parseText } from './support/lowering.ts';
import { requestOf } from './support/request.ts';

const INSTRUCTIONS = 5000;
const WORKLOADS: readonly (readonly [string, (i: number) => string])[] = [
  ['ENV, all different', (i) => `ENV NAME_${i}=value_${i}`],
  ['ENV, one name', (i) => `ENV NAME=$NAME${i % 10}`],
  ['COPY and WORKDIR', (i) => (i % 2 === 0 ? `COPY --chown=1:1 src/${i} dest/` : `WORKDIR /w${i}`)],
  ['RUN, continued', (i) => `RUN apt-get install -y \\\n  # comment\n  package${i} \\\n  other`],
  ['RUN, heredoc', (i) => `RUN <<EOF\nset -e\necho ${i}\nEOF`],
  ['lint findings', (i) => `LABEL a${i} $UNDEFINED_${i}`],
  ['stages', (i) => `FROM scratch AS s${i}\nCOPY --from=${i} /a /b`],
];

describe('speed', () => {
  it.each(WORKLOADS)('speed: 5,000 instructions, %s (measured, not asserted)', (name, line) => {
    const text = `FROM scratch\n${Array.from({ length: INSTRUCTIONS }, (_, i) => line(i)).join('\n')}\n`;
    const startMs = performance.now();
    const { dockerfile } = parseText(text);
    const parsedMs = performance.now();
    const { kind } = lower(dockerfile, requestOf());
    const loweredMs = performance.now();
    expect(kind).toBe('complete');
    if (process.env['TSBUILD_TEST_TIMES'] === '1')
      process.stdout.write(
        `parse ${(parsedMs - startMs).toFixed(0)} ms, lower ${(loweredMs - parsedMs).toFixed(0)} ms: ${name}\n`,
      );
  });
});
