import { describe, expect, it } from 'vitest';
import { complete, errorOf, fileOps, warningsOf } from './support/lowering.ts';

const lenient = { compat: 'buildkit' } as const;
const opOf = (line: string, change = {}): unknown => fileOps(complete(`FROM x\n${line}`, change)).at(-1);

/** A graph, as text. */
const graphOf = (text: string, change = {}): string =>
  JSON.stringify(Array.from(complete(text, change).graph.values(), ({ op }) => op));

/** What `${v//?b/…}` makes of a.b. */
const labelOf = (replacement: string, change = {}): string | undefined =>
  complete(`FROM x\nARG v=a.b r='${replacement}'\nLABEL l=\${v//?b/$r}`, change).draft.config.config?.Labels?.['l'];

describe('--compat=buildkit', () => {
  it('compat: a name that --chown does not find is ignored, users and groups alike', () => {
    expect(opOf('COPY --chown=app a /b', lenient)).toMatchObject({
      actions: [{ owner: { user: 'app', unknown: 'ignore' } }],
    });
    expect(opOf('ADD --chown=1:app a /b', lenient)).toMatchObject({
      actions: [{ owner: { user: '1', group: 'app', unknown: 'ignore' } }],
    });
    expect(opOf('COPY --chown=app <<EOF /b\nEOF', lenient)).toMatchObject({
      actions: [{ owner: { user: 'app', unknown: 'ignore' } }],
    });
    expect(opOf('COPY --chown=app a /b')).toMatchObject({ actions: [{ owner: { user: 'app' } }] });
    expect(graphOf('FROM x\nCOPY --chown=app a /b')).not.toContain('unknown');
  });

  it.each([
    'COPY a b /x',
    'COPY *.txt /x',
    'ADD https://example.org/a https://example.org/b /x',
    'COPY a <<EOF /x\nEOF',
    'COPY <<A <<B /x\nA\nB',
  ])('compat: %j: the last source is left', (line) => {
    expect(opOf(line, lenient)).toMatchObject({ clash: 'replace' });
    expect(opOf(line)).not.toHaveProperty('clash');
  });

  it('compat: --exclude spares a file that is named as source', () => {
    expect(opOf('COPY --exclude=*.log a.log /x/', lenient)).toMatchObject({ actions: [{ excludeNamed: 'copy' }] });
    expect(graphOf('FROM x\nCOPY --exclude=*.log a.log /x/')).not.toContain('excludeNamed');
  });

  it('compat: the replacement of ${name//pattern/replacement} is a template', () => {
    expect(labelOf('[$0]', lenient)).toBe('a[.b]');
    expect(labelOf('[${0}$1$$${x}]', lenient)).toBe('a[.b$]');
    expect(labelOf('[$0$$]')).toBe('a[$0$$]');
  });

  it('compat: FROM finds a stage only by its name in lower case', () => {
    const text = 'FROM scratch AS Base\nFROM Base\nCOPY --from=BASE a /';
    expect(complete(text).bases).toEqual([]);
    expect(errorOf(text, lenient)).toBe('failed to parse stage name "Base": invalid reference format');
    expect(complete('FROM scratch AS Base\nFROM base\nCOPY --from=BASE a /', lenient).bases).toEqual([]);
  });

  it.each([
    ['UnusedBuildArg', 'FROM x', { buildArgs: new Map([['Q', '1']]) }],
    ['NewerSyntax', '# syntax=docker/dockerfile:1.99\nFROM x', {}],
  ])('compat: %s is not reported', (rule, text, change) => {
    expect(warningsOf(text, change).join()).toContain(rule);
    expect(warningsOf(text, { ...change, ...lenient })).toEqual([]);
  });

  it('compat: a frontend that is not ours is refused all the same', () => {
    const text = '# syntax=example.org/frontend:1\nFROM x';
    expect(errorOf(text, lenient)).toBe(errorOf(text));
    expect(errorOf(text, lenient)).toMatch('example.org/frontend:1');
  });

  it('compat: steps that no leniency can change are the same steps, so that they share their cache', () => {
    const text = [
      'FROM x AS b',
      'WORKDIR /w',
      'RUN make',
      'COPY a /x',
      'COPY a b /x/',
      'COPY --chown=1:2 a /x',
      'COPY --chown=root:root a /x',
      'COPY --chmod=644 <<EOF /y',
      'EOF',
      'ADD https://example.org/a /x',
    ].join('\n');
    expect(graphOf(text, lenient)).toBe(graphOf(text));
  });
});
