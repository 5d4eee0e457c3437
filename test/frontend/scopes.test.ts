import { describe, expect, it } from 'vitest';
import { complete, envOf, errorOf, errorsOf, execs, historyOf } from './support/lowering.ts';
import type { NamedContext } from '../../frontend/lower-request.ts';
import { AMD64, ARM64 } from './support/request.ts';

const args = (...pairs: readonly (readonly [string, string])[]): { buildArgs: ReadonlyMap<string, string> } => ({
  buildArgs: new Map(pairs),
});
const bases = (text: string, o = {}): readonly string[] =>
  Array.from(complete(text, o).graph.values(), ({ op }) =>
    op.kind === 'source' && op.source.type === 'image' ? op.source.reference : '',
  ).filter((reference) => reference !== '');

const withArg = (line: string): string => `ARG A=global\nFROM x\nARG ${line}\nRUN a`;

const epochs = (text: string, o = {}): unknown => {
  const result = complete(text, o);
  return [
    result.epochSeconds,
    ...Array.from(result.graph.values(), ({ op }) => (op.kind === 'file' ? op.epochSeconds : undefined)),
  ];
};

describe('scopes: ENV and ARG', () => {
  it('scopes: pairs of one ENV do not see each other, arguments of one ARG do', () => {
    expect(envOf(complete('FROM x\nENV abc=hello\nENV abc=bye def=$abc\nARG A=1 B=$A\nRUN a'))).toMatchObject({
      abc: 'bye',
      def: 'hello',
      A: '1',
      B: '1',
    });
  });

  it('scopes: the last declaration wins, the image keeps the ENV', () => {
    const result = complete('FROM x\nENV X=env\nARG X=arg\nRUN a');
    expect(envOf(result)['X']).toBe('arg');
    expect(result.draft.config.config.Env).toContain('X=env');
    expect(envOf(complete('FROM x\nARG X=arg\nENV X=env\nRUN a'))['X']).toBe('env');
  });

  it('scopes: ARG shadows an ENV of the base image', () => {
    expect(envOf(complete('FROM x\nARG V=new\nRUN a', {}, { x: { config: { Env: ['V=old'] } } }))['V']).toBe('new');
  });

  it('scopes: ARG without value leaves an ENV alone', () => {
    expect(envOf(complete('FROM x\nENV X=env\nARG X\nRUN a'))['X']).toBe('env');
  });

  it('scopes: --build-arg, then the default, then the global scope', () => {
    expect(envOf(complete(withArg('A')))['A']).toBe('global');
    expect(envOf(complete(withArg('A=own')))['A']).toBe('own');
    expect(envOf(complete(withArg('A=own'), args(['A', 'given'])))['A']).toBe('given');
    expect(envOf(complete(withArg('A'), args(['A', 'given'])))['A']).toBe('given');
    expect(envOf(complete('FROM x\nARG A\nRUN a'))).not.toHaveProperty('A');
  });

  it('scopes: the name of an ARG is taken as it is written', () => {
    expect(envOf(complete('FROM x\nENV N=A\nARG $N=1\nRUN a'))).toMatchObject({ $N: '1' });
  });

  it('scopes: a global ARG is invisible in a stage that does not declare it', () => {
    const result = complete('ARG A=1\nFROM x\nENV B=[$A]\nRUN a');
    expect(envOf(result)['B']).toBe('[]');
    expect(result.diagnostics.map(({ message }) => message)).toContain("Usage of undefined variable '$A'");
  });

  it('scopes: a build argument that nothing declares does not reach a stage', () => {
    expect(envOf(complete('FROM x\nRUN a', args(['A', '1'])))).not.toHaveProperty('A');
  });

  it('scopes: a stage inherits ARGs and ENVs of its base stage only', () => {
    const result = complete('FROM x AS a\nARG A=1\nENV B=2\nFROM x AS c\nENV C=3\nFROM a\nCOPY --from=c / /\nRUN a');
    expect(envOf(result)).toMatchObject({ A: '1', B: '2' });
    expect(envOf(result)).not.toHaveProperty('C');
  });

  it('scopes: ARGs are part of RUN in history, each once, with the value that counts', () => {
    const result = complete('FROM x\nARG A=1\nARG B\nARG A=2\nENV B=3\nRUN a', args(['C', 'x']));
    expect(historyOf(result).at(-1)).toBe('RUN |2 A=2 B=3 /bin/sh -c a # buildkit');
    expect(historyOf(complete('FROM x\nARG A\nRUN a')).at(-1)).toBe('RUN |1 A= /bin/sh -c a # buildkit');
  });

  it('scopes: ENV keeps its place when it is set again; PATH is always there', () => {
    const env = complete('FROM x\nENV A=1 B=2\nENV A=3', {}, { x: { config: { Env: ['Z=0'] } } }).draft.config.config
      .Env;
    expect(env).toEqual(['Z=0', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=3', 'B=2']);
  });
});

describe('scopes: FROM', () => {
  it('scopes: global ARGs see earlier ones, also on their own line', () => {
    expect(bases('ARG A=x B=$A-y\nARG C=${B}z\nFROM $C')).toEqual(['docker.io/library/x-yz:latest']);
    expect(bases('ARG A=x\nFROM $A', args(['A', 'q:1']))).toEqual(['docker.io/library/q:1']);
  });

  it('scopes: FROM sees no variable of a stage', () => {
    expect(errorOf('FROM x AS a\nARG B=y\nFROM $B')).toBe('base name ($B) should not be blank');
  });

  it('scopes: automatic platform arguments', () => {
    const names =
      'BUILDPLATFORM BUILDOS BUILDOSVERSION BUILDARCH BUILDVARIANT TARGETPLATFORM TARGETOS TARGETOSVERSION TARGETARCH TARGETVARIANT TARGETSTAGE'.split(
        ' ',
      );
    const text = `FROM x AS out\nARG ${names.join(' ')}\nRUN a`;
    const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
    expect(envOf(complete(text, { platform: arm, buildPlatform: AMD64 }))).toMatchObject({
      BUILDPLATFORM: 'linux/amd64',
      BUILDOS: 'linux',
      BUILDOSVERSION: '',
      BUILDARCH: 'amd64',
      BUILDVARIANT: '',
      TARGETPLATFORM: 'linux/arm/v7',
      TARGETOS: 'linux',
      TARGETARCH: 'arm',
      TARGETVARIANT: 'v7',
      TARGETSTAGE: 'out',
    });
    expect(envOf(complete('FROM x\nARG TARGETSTAGE\nRUN a'))['TARGETSTAGE']).toBe('default');
    expect(envOf(complete('FROM x\nARG TARGETARCH\nRUN a', args(['TARGETARCH', 'own'])))['TARGETARCH']).toBe('own');
    expect(envOf(complete('FROM x\nRUN a'))).not.toHaveProperty('TARGETARCH');
  });

  it('scopes: --platform picks the image, the target platform stays', () => {
    const result = complete('FROM --platform=$BUILDPLATFORM x AS b\nRUN a\nFROM scratch\nCOPY --from=b / /', {
      platform: ARM64,
      platformAsked: 'yes',
    });
    expect(execs(result)[0]?.platform).toEqual(AMD64);
    expect(result.draft.config).toMatchObject(ARM64);
  });

  it.each([
    ['FROM --platform=$X a', 'empty platform value from expression $X'],
    ['FROM --platform=a/b/c/d a', 'failed to parse platform a/b/c/d'],
    ['FROM ${X', `failed to process "\${X": syntax error: missing '}'`],
    ['FROM UPPER', 'failed to parse stage name "UPPER": invalid reference format'],
  ])('scopes: %s is refused', (text, message) => {
    expect(errorOf(text)).toBe(message);
  });
});

describe('scopes: special arguments', () => {
  it('scopes: proxies reach RUN without ARG, but neither key nor history', () => {
    const given = args(['HTTP_PROXY', 'http://p'], ['no_proxy', 'localhost']);
    const result = complete('FROM x\nRUN a', given);
    expect(execs(result)[0]?.proxyEnv).toEqual([
      'HTTP_PROXY=http://p',
      'http_proxy=http://p',
      'NO_PROXY=localhost',
      'no_proxy=localhost',
    ]);
    expect(envOf(result)).not.toHaveProperty('HTTP_PROXY');
    expect(historyOf(result)).toEqual(['RUN /bin/sh -c a # buildkit']);
    expect(historyOf(complete('FROM x\nARG HTTP_PROXY\nRUN a', given))).toEqual([
      'ARG HTTP_PROXY=http://p',
      'RUN |1 HTTP_PROXY=http://p /bin/sh -c a # buildkit',
    ]);
    expect(result.diagnostics).toEqual([]);
  });

  it('scopes: SOURCE_DATE_EPOCH reaches file ops, from a build argument or a global ARG', () => {
    expect(epochs('FROM scratch\nWORKDIR /x', args(['SOURCE_DATE_EPOCH', '7']))).toEqual([7, 7]);
    expect(epochs('ARG SOURCE_DATE_EPOCH=8\nFROM scratch\nWORKDIR /x')).toEqual([8, 8]);
    expect(epochs('FROM scratch\nWORKDIR /x', { epochSeconds: 9 })).toEqual([9, 9]);
    expect(epochs('FROM scratch\nWORKDIR /x', args(['SOURCE_DATE_EPOCH', 'context']))).toEqual([undefined, undefined]);
    expect(epochs('FROM scratch\nWORKDIR /x', args(['SOURCE_DATE_EPOCH', '']))).toEqual([undefined, undefined]);
  });

  it('scopes: BUILDKIT_SANDBOX_HOSTNAME names the machine of steps', () => {
    expect(execs(complete('FROM x\nRUN a', args(['BUILDKIT_SANDBOX_HOSTNAME', 'box'])))[0]?.hostname).toBe('box');
    expect(execs(complete('FROM x\nRUN a'))[0]?.hostname).toBe('buildkitsandbox');
  });

  it('scopes: a build argument that nothing declares is reported, with the near name', () => {
    const found = complete('FROM x\nARG VERSION', args(['VERSIN', '1'], ['BUILDKIT_INLINE_CACHE', '1'])).diagnostics;
    expect(found).toMatchObject([
      { code: 'UnusedBuildArg', message: 'build argument "VERSIN" is not declared by any ARG (did you mean VERSION?)' },
    ]);
    expect(complete('FROM x', { ...args(['Q', '1']), compat: 'buildkit' }).diagnostics).toEqual([]);
  });

  it.each(['context', 'here'])('scopes: SOURCE_DATE_EPOCH=%s, a directory, is as good as unset', (name) => {
    const namedContexts = new Map([['here', { kind: 'local' } as const]]);
    const stage = 'FROM x\nARG SOURCE_DATE_EPOCH\nRUN make';
    for (const [text, change] of [
      [stage, args(['SOURCE_DATE_EPOCH', name])],
      [`ARG SOURCE_DATE_EPOCH=${name}\n${stage}`, {}],
    ] as const) {
      const result = complete(text, { ...change, namedContexts });
      expect(result.epochSeconds).toBeUndefined();
      expect(envOf(result)).not.toHaveProperty('SOURCE_DATE_EPOCH');
    }
  });

  it.each([
    ['context', 'SOURCE_DATE_EPOCH=context: the time of a context that was fetched is not known', 'give it in seconds'],
    ['Build', 'SOURCE_DATE_EPOCH=Build: the time of a stage is not known', 'give it in seconds'],
    ['source', 'SOURCE_DATE_EPOCH=source: the time of a context that was fetched is not known', 'give it in seconds'],
    ['image', 'SOURCE_DATE_EPOCH=image: the time of a context that was fetched is not known', 'give it in seconds'],
    ['contxt', 'invalid SOURCE_DATE_EPOCH: contxt', 'did you mean context?'],
    ['biuld', 'invalid SOURCE_DATE_EPOCH: biuld', 'did you mean build?'],
    ['soon', 'invalid SOURCE_DATE_EPOCH: soon', 'give it in seconds'],
    ['-1', 'invalid SOURCE_DATE_EPOCH: -1', 'give it in seconds'],
  ])('scopes: SOURCE_DATE_EPOCH=%s is refused', (value, message, help) => {
    const change = {
      mainContext: { kind: 'local', fetched: 'yes' },
      namedContexts: new Map<string, NamedContext>([
        ['source', { kind: 'local', fetched: 'yes' }],
        ['image', { kind: 'image', reference: 'x' }],
      ]),
    } as const;
    const text = 'FROM scratch AS build\nFROM build';
    expect(errorsOf(text, { ...change, ...args(['SOURCE_DATE_EPOCH', value]) })).toMatchObject([{ message }]);
    const [error] = errorsOf(`ARG A=1\nARG SOURCE_DATE_EPOCH=${value}\n${text}`, change);
    expect(error).toMatchObject({ message, range: { start: { line: 2 } } });
    expect(error?.help).toMatch(help);
  });
});
