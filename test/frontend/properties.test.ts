import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand } from '../../frontend/expand.ts';
import { Flaw } from '../../frontend/flaw.ts';
import { lower } from '../../frontend/lower.ts';
import { PersistentList, PersistentMap } from '../../frontend/persistent.ts';
import { splitQuoted } from '../../frontend/syntax/words.ts';
import { fakeImage, parseText } from './support/lowering.ts';
import { requestOf } from './support/request.ts';

const KEYWORDS =
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR FRM'.split(
    ' ',
  );
const PIECES = [
  '<<E',
  '<<-"E"',
  'E',
  '\n',
  ' \\\n',
  '# c\n',
  '$a',
  '${a',
  '${a:-',
  '}',
  '"',
  "'",
  '\\',
  '`',
  '[',
  '"a", "b"]',
  '--from=a',
  '--mount=type=cache,target=/x',
  '--',
  'a=b',
  'AS',
  'scratch',
  '80/tcp',
  '\0',
  '\u2028',
  '😀',
  '\r\n',
];
const line = fc
  .tuple(
    fc.constantFrom(...KEYWORDS),
    fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 8 })), { maxLength: 8 }),
  )
  .map(([keyword, words]) => `${keyword} ${words.join(' ')}`);
const file = fc.array(line, { maxLength: 12 }).map((lines) => ['FROM scratch AS a', ...lines].join('\n'));

/** Lowers as far as it goes, with an image for each request. */
function lowerAll(text: string | Uint8Array): void {
  const { dockerfile, diagnostics } = parseText(text);
  for (const { range } of diagnostics) expect(range?.start.line).toBeGreaterThan(0);
  if (diagnostics.length > 0) return;
  const images = new Map();
  for (let rounds = 0; rounds < 20; rounds++) {
    const result = lower(dockerfile, requestOf({ images, extent: 'all', ownRules: 'on' }));
    if (result.kind !== 'needs-images') return;
    for (const { key, reference } of result.requests)
      images.set(key, fakeImage(reference, { config: { OnBuild: ['RUN a'] } }));
  }
  expect.fail('images are asked for without end');
}

describe('properties', () => {
  it('properties: no bytes make parsing or lowering throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => lowerAll(bytes)),
      { numRuns: 300 },
    );
  });

  it('properties: nothing that looks like a Dockerfile makes parsing or lowering throw', () => {
    fc.assert(
      fc.property(file, (text) => lowerAll(text)),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['spaces before a broken heredoc', `RUN <<${' '.repeat(60_000)}a<`],
    ['digits without unit', `HEALTHCHECK --interval=${'1'.repeat(60_000)} CMD a`],
    ['many heredoc operators', `RUN ${'<<a '.repeat(15_000)}`],
    ['many unknown variables', `LABEL ${Array.from({ length: 6000 }, (_, i) => `a=$v${i}`).join(' ')}`],
    ['many quotes', `ENV a=${`"'`.repeat(30_000)}`],
    ['many dashes', `COPY ${'--a'.repeat(20_000)} b c`],
    ['many flags', `COPY ${'--exclude=a '.repeat(5000)} b c`],
    ['many fields', `RUN --mount=type=cache,${'target=/a,'.repeat(6000)}id=b c`],
    ['quoted fields', `RUN --mount='${'""'.repeat(30_000)}' c`],
    ['ports', `EXPOSE ${'1-65535 '.repeat(30)}`],
    ['a pattern', `ENV v=${'a'.repeat(60_000)}\nENV w=\${v##${'*a'.repeat(200)}*b}`],
    ['a wide mode', `COPY --chmod=${'u=r,'.repeat(15_000)} a b`],
    ['a long reference', `FROM ${'a/'.repeat(30_000)}`],
    ['nested JSON', `RUN ${'['.repeat(60_000)}`],
    ['escapes at line ends', `RUN a ${'\\\n'.repeat(100_000)}`],
  ])('properties: work stays in bounds for %s', (_name, text) => {
    const startMs = performance.now();
    lowerAll(`FROM scratch\n${text}\n`);
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('properties: expansion gives text or a flaw', () => {
    const source = fc.array(
      fc.oneof(
        fc.constantFrom('$', '{', '}', 'a', ':-', '#', '%%', '/', '*', '?', '\\', "'", '"', ' ', '<<', '!'),
        fc.string({ maxLength: 3 }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(source, fc.constantFrom('\\', '`'), (parts, escape) => {
        try {
          expect(
            typeof expand(parts.join(''), (name) => (name === 'a' ? 'value' : undefined), { escape, heredocs: 'join' })
              .text,
          ).toBe('string');
        } catch (error) {
          expect(error).toBeInstanceOf(Flaw);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('properties: quoting and expanding are inverse', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const quoted = `"${text.replaceAll(/["$\\]/g, '\\$&')}"`;
        expect(expand(quoted, () => undefined, { escape: '\\' }).text).toBe(text);
      }),
    );
  });

  it('properties: words in single quotes stay whole', () => {
    fc.assert(
      fc.property(fc.array(fc.string().map((text) => `'${text.replaceAll("'", '')}'`)), (words) => {
        expect(splitQuoted(words.join(' '), '\\')).toEqual(words);
      }),
    );
  });

  it('properties: versions of persistent collections do not disturb each other', () => {
    const step = fc.record({ parent: fc.nat(), key: fc.constantFrom('a', 'b', 'c'), value: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const maps = [
          {
            real: PersistentMap.of<number>(),
            list: PersistentList.of<number>(),
            model: new Map<string, number>(),
            items: [] as number[],
          },
        ];
        for (const { parent, key, value } of steps) {
          const from = maps[parent % maps.length];
          if (from === undefined) continue;
          maps.push({
            real: from.real.with(key, value),
            list: from.list.with(value),
            model: new Map(from.model).set(key, value),
            items: [...from.items, value],
          });
        }
        for (const { real, list, model, items } of maps) {
          expect(new Map(real.entries())).toEqual(model);
          expect([...real.entries()].map(([key]) => real.lookup(key))).toEqual(
            [...real.entries()].map(([, value]) => value),
          );
          expect(list.toArray()).toEqual(items);
        }
      }),
    );
  });
});
