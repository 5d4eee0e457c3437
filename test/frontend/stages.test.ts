import { describe, expect, it } from 'vitest';
import { lower } from '../../frontend/lower.ts';
import {
  complete,
  errorOf,
  errorsOf,
  execs,
  fileOps,
  historyOf,
  lowerText,
  parseText,
  stepNames,
  type Complete,
} from './support/lowering.ts';
import { AMD64, ARM64, requestOf } from './support/request.ts';

const commands = (result: Complete): readonly string[] => execs(result).map(({ args }) => args.at(-1) ?? '');

const strict = (text: string, o = {}): unknown => {
  const result = lower(parseText(text).dockerfile, requestOf(o));
  return result.kind === 'needs-images' && result.requests.map((request) => [request.platform, request.strict]);
};

const contexts = (name: string, context: object): object => ({ namedContexts: new Map([[name, context]]) });

describe('stages: which are needed', () => {
  const text = 'FROM x AS a\nRUN a\nFROM unused AS b\nRUN b\nFROM y AS c\nRUN c\nFROM a\nCOPY --from=c / /';

  it('stages: only those that the target needs are resolved and lowered', () => {
    const { dockerfile } = parseText(text);
    const result = lower(dockerfile, requestOf());
    expect(result.kind === 'needs-images' && result.requests.map(({ reference }) => reference)).toEqual([
      'docker.io/library/x:latest',
      'docker.io/library/y:latest',
    ]);
    expect(commands(complete(text))).toEqual(['a', 'c']);
  });

  it('stages: a flaw of one that is not needed does no harm', () => {
    expect(commands(complete('FROM x AS a\nSTOPSIGNAL nonsense\nFROM y\nRUN b'))).toEqual(['b']);
  });

  it('stages: with extent all, each is lowered, but the graph is the target’s', () => {
    const result = complete('FROM x AS a\nCMD a\nFROM y\nRUN b', { extent: 'all' });
    expect(commands(result)).toEqual(['b']);
    expect(result.diagnostics.map(({ code }) => code)).toEqual(['JSONArgsRecommended']);
  });

  it('stages: the target is found by name in any case, or by number', () => {
    expect(commands(complete(text, { target: 'C' }))).toEqual(['c']);
    expect(commands(complete(text, { target: '0' }))).toEqual(['a']);
    expect(errorsOf(text, { target: 'nothing' })).toMatchObject([
      { code: 'StageNotFound', message: 'target stage "nothing" could not be found', help: 'the stages are: a, b, c' },
    ]);
    expect(errorsOf('FROM x AS build\nFROM y', { target: 'biuld' })[0]?.help).toBe('did you mean build?');
  });
});

describe('stages: names', () => {
  it('stages: FROM and COPY --from find earlier ones in any case', () => {
    expect(commands(complete('FROM x AS Base\nRUN a\nFROM BASE\nRUN b'))).toEqual(['a', 'b']);
    expect(fileOps(complete('FROM x AS Base\nRUN a\nFROM scratch\nCOPY --from=BASE / /'))).toHaveLength(1);
  });

  it('stages: of two with one name the later counts for what comes after', () => {
    expect(commands(complete('FROM x AS a\nRUN one\nFROM a AS a\nRUN two\nFROM a\nRUN three'))).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  it('stages: numbers name stages in COPY --from, not in mounts', () => {
    expect(fileOps(complete('FROM x\nRUN a\nFROM scratch\nCOPY --from=0 / /'))).toHaveLength(1);
    const mounted = complete('FROM x\nFROM y\nRUN --mount=from=0,target=/m a');
    expect(
      [...mounted.graph.values()].map(({ op }) =>
        op.kind === 'source' && op.source.type === 'image' ? op.source.reference : '',
      ),
    ).toContain('docker.io/library/0:latest');
  });

  it.each([
    ['FROM x AS a\nCOPY --from=a / /', 'circular dependency detected on stage: a'],
    ['FROM x\nCOPY --from=0 / /', 'circular dependency detected on stage: 0'],
    [
      'FROM x AS a\nCOPY --from=b / /\nFROM y AS b\nFROM a',
      'cannot copy from stage "b", it needs to be defined before current stage "a"',
    ],
    [
      'FROM x AS a\nRUN --mount=from=b,target=/m c\nFROM y AS b\nFROM a',
      'cannot copy from stage "b", it needs to be defined before current stage "a"',
    ],
    ['FROM x\nCOPY --from=7 / /', 'invalid stage index 7'],
    ['FROM x\nCOPY --from=UP:per / /', 'failed to parse stage name "UP:per": invalid reference format'],
    ['FROM x\nCOPY --from=7 / /\nFROM y', 'invalid stage index 7'],
    ['FROM x\nCOPY --from=UP:per / /\nFROM y', 'failed to parse stage name "UP:per": invalid reference format'],
    ['FROM x AS a\nCOPY --from=a / /\nFROM y', 'circular dependency detected on stage: a'],
    [
      'FROM x AS a\nCOPY --from=b / /\nFROM y AS b\nRUN --mount=from=a,target=/m c\nFROM y',
      'cannot copy from stage "b", it needs to be defined before current stage "a"',
    ],
  ])('stages: %j is refused', (text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  it('stages: one that nothing needs may name a later one', () => {
    expect(complete('FROM x AS a\nCOPY --from=b / /\nFROM y AS b\nRUN c').graph.size).toBe(2);
  });

  it('stages: a chain of thousands does not overflow the stack', () => {
    const text = [
      'FROM x AS s0',
      ...Array.from({ length: 5000 }, (_, i) => `FROM s${i} AS s${i + 1}\nENV A${i}=1`),
    ].join('\n');
    expect(complete(text).draft.config.config.Env).toHaveLength(5001);
  });
});

describe('stages: scratch', () => {
  it('stages: without files there is no target vertex', () => {
    const result = complete('FROM scratch\nCMD ["a"]');
    expect([result.target, result.graph.size, result.bases]).toEqual([undefined, 0, []]);
    expect(result.draft.config).toEqual({
      ...AMD64,
      config: {
        WorkingDir: '/',
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Cmd: ['a'],
        ArgsEscaped: true,
      },
    });
  });

  it('stages: WORKDIR makes its layer, but not for the root', () => {
    expect(fileOps(complete('FROM scratch\nWORKDIR /a/b'))).toEqual([
      { kind: 'file', base: 'scratch', actions: [{ type: 'mkdir', path: '/a/b', mode: 0o755 }] },
    ]);
    const root = complete('FROM scratch\nWORKDIR /');
    expect([root.target, root.draft.history]).toEqual([
      undefined,
      [{ created_by: 'WORKDIR /', comment: 'buildkit.dockerfile.v0', empty_layer: true }],
    ]);
  });

  it('stages: files can be taken from an empty stage, and RUN can start from nothing', () => {
    expect(fileOps(complete('FROM scratch AS e\nFROM scratch\nCOPY --from=e / /'))[0]).toEqual({
      kind: 'file',
      base: 'scratch',
      actions: [],
    });
    expect(execs(complete('FROM scratch\nRUN ["/a"]'))[0]).toMatchObject({ root: 'scratch', args: ['/a'] });
  });

  it('stages: an image without layers is like scratch, but for its config', () => {
    const result = complete('FROM x\nRUN a', {}, { x: { layers: 0, config: { User: 'u' } } });
    expect(execs(result)[0]).toMatchObject({ root: 'scratch', user: 'u' });
    expect(result.bases).toEqual([]);
  });
});

describe('stages: base images', () => {
  const x = {
    config: {
      Env: ['A=1'],
      Cmd: ['sh'],
      WorkingDir: '/w',
      User: 'u',
      Labels: { l: '1' },
      ExposedPorts: { '1/tcp': {} },
      Volumes: { '/v': {} },
      OnBuild: ['ENV T=1'],
    },
  };

  it('stages: config and history of the base are kept, its triggers are not', () => {
    const result = complete('FROM x\nLABEL m=2\nEXPOSE 2\nVOLUME /y', {}, { x });
    expect(result.draft.config.config).toEqual({
      Cmd: ['sh'],
      WorkingDir: '/w',
      User: 'u',
      Env: ['A=1', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'T=1'],
      Labels: { l: '1', m: '2' },
      ExposedPorts: { '1/tcp': {}, '2/tcp': {} },
      Volumes: { '/v': {}, '/y': {} },
    });
    expect(result.draft.history[0]).toEqual({ created_by: 'base layer 0' });
    expect(result.bases.map(({ reference }) => reference)).toEqual(['docker.io/library/x:latest']);
  });

  it('stages: the base’s directory and user hold for RUN and COPY', () => {
    const result = complete('FROM x\nCOPY a b\nRUN c', {}, { x });
    expect(fileOps(result)[0]?.actions).toMatchObject([{ dest: '/w/b' }]);
    expect(execs(result)[0]).toMatchObject({ cwd: '/w', user: 'u' });
  });

  it('stages: as many history entries with layer as layers', () => {
    const result = complete(
      'FROM x\nWORKDIR /a\nRUN b\nCOPY --link c /d\nUSER e\nADD f /g\nWORKDIR /',
      {},
      { x: { layers: 3 } },
    );
    expect(result.draft.history.filter(({ empty_layer: empty }) => empty !== true)).toHaveLength(3 + 4);
  });

  it('stages: --label comes last', () => {
    expect(
      complete('FROM x\nLABEL l=2 k=1', { labels: new Map([['l', '3']]) }, { x }).draft.config.config.Labels,
    ).toEqual({ l: '3', k: '1' });
  });

  it('stages: an image of another platform is taken with a warning, and its platform goes into the config', () => {
    const result = complete('FROM x', {}, { x: { platform: ARM64 } });
    expect(result.diagnostics).toMatchObject([
      {
        code: 'InvalidBaseImagePlatform',
        message: 'Base image x was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
      },
    ]);
    expect(result.draft.config).toMatchObject(ARM64);
  });

  it('stages: whether the platform was wished for decides how strictly it is looked for', () => {
    expect(strict('FROM x')).toEqual([[AMD64, 'no']]);
    expect(strict('FROM x', { platformAsked: 'yes' })).toEqual([[AMD64, 'yes']]);
    expect(strict('FROM --platform=linux/arm64 x AS arm64')).toEqual([[ARM64, 'yes']]);
  });
});

describe('stages: named contexts', () => {
  it('stages: an image takes the place of a base, whatever form of its name is used', () => {
    for (const name of ['alpine', 'alpine:latest', 'docker.io/library/alpine', 'alpine::linux/amd64']) {
      const result = lower(
        parseText('FROM alpine').dockerfile,
        requestOf(contexts(name, { kind: 'image', reference: 'docker-image://other:1' })),
      );
      expect(result).toMatchObject({ kind: 'needs-images', requests: [{ reference: 'docker-image://other:1' }] });
    }
    expect(
      lower(
        parseText('FROM alpine:3').dockerfile,
        requestOf(contexts('alpine', { kind: 'image', reference: 'docker-image://other:1' })),
      ),
    ).toMatchObject({
      requests: [{ reference: 'docker.io/library/alpine:3' }],
    });
  });

  it('stages: a context takes the place of a whole stage', () => {
    const result = complete(
      'FROM x AS dep\nRUN never\nFROM scratch\nCOPY --from=dep a b',
      contexts('dep', { kind: 'local' }),
    );
    expect(execs(result)).toEqual([]);
    expect(stepNames(result)).toEqual([
      '[context dep] load from client',
      '[dep 1/1] FROM dep',
      '[stage-1 1/1] COPY --from=dep a b',
    ]);
  });

  it('stages: triggers of a context that takes the place of a stage do not run', () => {
    const named = contexts('dep', { kind: 'image', reference: 'docker-image://y' });
    const result = complete('FROM x AS dep\nONBUILD RUN never\nFROM dep\nRUN b', named, {
      'docker-image://y': { config: { OnBuild: ['RUN neither'] } },
    });
    expect(commands(result)).toEqual(['b']);
  });

  it('stages: COPY --from and mounts take files from contexts', () => {
    const result = complete('FROM x\nCOPY --from=Src a b\nRUN --mount=from=repo,target=/m c', {
      namedContexts: new Map([
        ['Src', { kind: 'local' }],
        ['repo', { kind: 'local' }],
      ]),
    });
    const sources = [...result.graph.values()].flatMap(({ op }) => (op.kind === 'source' ? [op.source] : []));
    expect(sources).toContainEqual({ type: 'local', name: 'Src' });
    expect(sources).toContainEqual({ type: 'local', name: 'repo' });
  });

  it('stages: a stage comes before a context of its name for later stages', () => {
    expect(lowerText('FROM x AS a\nRUN b\nFROM a', contexts('x', { kind: 'local' })).kind).toBe('complete');
  });
});

describe('stages: ONBUILD', () => {
  it('stages: triggers are kept as text and make no history', () => {
    const result = complete('FROM x\nONBUILD RUN  a \\\n  b\nONBUILD COPY <<E /c\nbody\nE');
    expect(result.draft.config.config.OnBuild).toEqual(['RUN  a   b', 'COPY <<E /c\nbody\nE']);
    expect(historyOf(result)).toEqual([]);
  });

  it('stages: triggers of a base stage run after FROM, once, and not for grandchildren', () => {
    const result = complete('FROM x AS a\nONBUILD RUN trigger $V\nFROM a AS b\nRUN b\nFROM b\nRUN c');
    expect(commands(result)).toEqual(['trigger $V', 'b', 'c']);
    expect(stepNames(result)[1]).toBe('[b 1/2] ONBUILD RUN trigger $V');
    expect(result.draft.config.config.OnBuild).toBeUndefined();
  });

  it('stages: triggers of an image may need more stages, images and files', () => {
    const images = {
      x: { config: { OnBuild: ['COPY --from=tools /t /t', 'ADD . /src', 'RUN --mount=from=other,target=/o make'] } },
      tools: { config: { OnBuild: ['RUN never'] } },
    };
    const result = complete('FROM q AS tools\nRUN tools\nFROM x', {}, images);
    expect(commands(result)).toEqual(['tools', 'make']);
    const sources = [...result.graph.values()].flatMap(({ op }) =>
      op.kind === 'source' ? [op.source.type === 'image' ? op.source.reference : op.source.type] : [],
    );
    expect(sources.toSorted()).toEqual([
      'docker.io/library/other:latest',
      'docker.io/library/q:latest',
      'docker.io/library/x:latest',
      'local',
    ]);
  });

  it('stages: a broken trigger of an image is reported at FROM', () => {
    const result = lowerText('FROM x', {}, { x: { config: { OnBuild: ['COPY --bad a b'] } } });
    expect(result).toMatchObject({
      kind: 'invalid',
      diagnostics: [
        { code: 'UnknownFlag', message: 'ONBUILD of the base: unknown flag: --bad', range: { start: { line: 1 } } },
      ],
    });
    expect(lowerText('FROM x', {}, { x: { config: { OnBuild: ['FROM y'] } } })).toMatchObject({ kind: 'invalid' });
    expect(lowerText('FROM x', {}, { x: { config: { OnBuild: ['RUN a\nRUN b'] } } })).toMatchObject({
      kind: 'invalid',
    });
  });

  it('stages: triggers are read with the default escape character', () => {
    expect(commands(complete('# escape=`\nFROM x', {}, { x: { config: { OnBuild: ['RUN a \\\n b'] } } }))).toEqual([
      'a  b',
    ]);
  });
});
