import { describe, expect, it } from 'vitest';
import { complete, errorOf, execs, fileOps, historyOf, stepNames } from './support/lowering.ts';

const op = (line: string, o = {}): ReturnType<typeof execs>[number] | undefined =>
  execs(complete(`FROM x\n${line}`, o)).at(-1);
const mount = (text: string, before = ''): unknown => op(`${before}RUN --mount=${text} a`)?.mounts[0];

const marked = (noCache: 'all' | readonly string[]): unknown =>
  [...complete('FROM x AS a\nRUN a\nFROM a AS b\nRUN b', { noCache }).graph.values()]
    .filter(({ op: { kind } }) => kind === 'exec')
    .map(({ meta }) => meta.ignoreCache ?? false);

const configOf = (text: string, o = {}): object =>
  complete(`FROM x\n${text}`, o, { x: { config: { Env: ['PATH=/p'], Cmd: ['base'], Entrypoint: ['entry'] } } }).draft
    .config.config;

const ports = (text: string): unknown =>
  Object.keys((configOf(`ENV p="1 2/udp" r=5-6\nEXPOSE ${text}`) as { ExposedPorts: object }).ExposedPorts);

const made = (user: string): unknown => fileOps(complete(`FROM x\nUSER ${user}\nWORKDIR /w`))[0]?.actions;

describe('run: op', () => {
  it('run: the shell form runs in the shell, the exec form as it is, nothing expanded', () => {
    expect(op('ENV v=1\nRUN echo $v')?.args).toEqual(['/bin/sh', '-c', 'echo $v']);
    expect(op('ENV v=1\nRUN ["echo", "$v"]')?.args).toEqual(['echo', '$v']);
    expect(op('SHELL ["a", "b"]\nRUN c')?.args).toEqual(['a', 'b', 'c']);
  });

  it('run: takes what the request and the flags say', () => {
    const o = {
      network: 'none',
      addHosts: [{ host: 'h', address: '1.2.3.4' }],
      shmSizeBytes: 9,
      ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
      cgroupParent: 'g',
      resources: { pids: 3 },
    } as const;
    expect(op('RUN a', o)).toMatchObject({
      network: 'none',
      security: 'sandbox',
      extraHosts: o.addHosts,
      shmSizeBytes: 9,
      ulimits: o.ulimits,
      cgroupParent: 'g',
      resources: o.resources,
      cwd: '/',
      user: '',
    });
    expect(
      op('WORKDIR /w\nUSER u:g\nRUN --network=host --security=insecure --device=d,required --device=e a'),
    ).toMatchObject({
      network: 'host',
      security: 'insecure',
      cwd: '/w',
      user: 'u:g',
      devices: [
        { name: 'd', presence: 'required' },
        { name: 'e', presence: 'optional' },
      ],
    });
  });

  it('run: the step shows known variables and masks secrets', () => {
    const names = stepNames(complete('FROM x\nENV v=1\nRUN --mount=type=secret,id=s,env=T echo "$v" $T ${u:-x} \\$v'));
    expect(names.at(-1)).toBe(
      '[stage-0 2/2] RUN --mount=type=secret,id=s,env=T echo "1" **** ${u:-x} $v'.replace('stage-0 ', ''),
    );
  });

  it('run: --no-cache marks the steps of the stages it names', () => {
    expect(marked([])).toEqual([false, false]);
    expect(marked(['B'])).toEqual([false, true]);
    expect(marked('all')).toEqual([true, true]);
  });
});

describe('run: mounts', () => {
  it('run: bind takes from the context, read-only', () => {
    expect(mount('target=/m')).toEqual({ type: 'bind', target: '/m', input: 1, source: '/', writes: 'refuse' });
    expect(mount('type=bind,DST=m,src=../a/b,rw', 'WORKDIR /w\n')).toEqual({
      type: 'bind',
      target: '/w/m',
      input: 1,
      source: '/a/b',
      writes: 'discard',
    });
    expect(mount('target=/m,readonly=false')).toMatchObject({ writes: 'discard' });
    expect(mount('target=/m,rw=0')).toMatchObject({ writes: 'refuse' });
  });

  it('run: bind from a stage, an image, nothing', () => {
    const result = complete(
      'FROM x AS a\nRUN one\nFROM y\nRUN --mount=from=a,target=/1 --mount=from=img,target=/2 --mount=from=scratch,target=/3 --mount=from=a,target=/4 two',
    );
    const vertex = [...result.graph.values()].at(-1);
    expect(vertex?.inputs).toHaveLength(4);
    expect(
      execs(result)
        .at(-1)
        ?.mounts.map((found) => found.type === 'bind' && found.input),
    ).toEqual([1, 2, 3, 1]);
    expect(fileOps(result)).toEqual([{ kind: 'file', base: 'scratch', actions: [] }]);
  });

  it('run: a cache is known by its target as written', () => {
    expect(mount('type=cache,target=c/../d', 'WORKDIR /w\n')).toEqual({
      type: 'cache',
      target: '/w/d',
      id: 'd',
      sharing: 'shared',
      writes: 'keep',
      source: '/',
      mode: 0o755,
      uid: 0,
      gid: 0,
    });
    expect(mount('type=cache,id=$v,target=/c,sharing=LOCKED,mode=0700,uid=1,gid=2,ro', 'ENV v=7\n')).toMatchObject({
      id: '7',
      sharing: 'locked',
      writes: 'refuse',
      mode: 0o700,
      uid: 1,
      gid: 2,
    });
    expect(mount('type=cache,target=/c,from=y,source=s')).toMatchObject({ input: 1, source: '/s' });
    expect(
      op('RUN --mount=type=cache,target=/c a', { buildArgs: new Map([['BUILDKIT_CACHE_MOUNT_NS', 'ns']]) })?.mounts,
    ).toMatchObject([{ id: 'ns//c' }]);
  });

  it('run: tmpfs, with a size', () => {
    expect(mount('type=tmpfs,target=/t')).toEqual({ type: 'tmpfs', target: '/t' });
    expect(mount('type=tmpfs,target=/t,size=1.5g')).toEqual({
      type: 'tmpfs',
      target: '/t',
      sizeBytes: 1.5 * 1024 ** 3,
    });
    expect(mount('type=tmpfs,target=/t,size=10')).toEqual({ type: 'tmpfs', target: '/t', sizeBytes: 10 });
  });

  it('run: secrets as files and as variables', () => {
    expect(mount('type=secret,id=a/b')).toEqual({
      type: 'secret',
      target: '/run/secrets/b',
      id: 'a/b',
      presence: 'optional',
      mode: 0o400,
      uid: 0,
      gid: 0,
    });
    expect(mount('type=secret,target=/x/y,required')).toMatchObject({ target: '/x/y', id: 'y', presence: 'required' });
    expect(mount('type=secret,source=s,mode=0444,uid=5,required=false')).toMatchObject({
      id: 's',
      presence: 'optional',
      mode: 0o444,
      uid: 5,
    });
    expect(op('RUN --mount=type=secret,id=s,env=V a')).toMatchObject({
      mounts: [],
      secretEnv: [{ name: 'V', id: 's', presence: 'optional' }],
    });
    expect(op('RUN --mount=type=secret,id=s,env=V,target=/f,required a')).toMatchObject({
      mounts: [{ target: '/f' }],
      secretEnv: [{ presence: 'required' }],
    });
  });

  it('run: ssh agents are numbered', () => {
    expect(
      op('RUN --mount=type=ssh --mount=type=ssh,id=k,required,target=/s --mount=type=ssh,id=l a')?.mounts,
    ).toMatchObject([
      { type: 'ssh', target: '/run/buildkit/ssh_agent.0', id: 'default', presence: 'optional', mode: 0o600 },
      { target: '/s', id: 'k', presence: 'required' },
      { target: '/run/buildkit/ssh_agent.2', id: 'l' },
    ]);
  });

  it('run: of two mounts on one target the later counts', () => {
    expect(op('RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/t/ a')?.mounts).toMatchObject([
      { type: 'cache' },
    ]);
  });

  it('run: fields may be quoted as in CSV', () => {
    expect(mount(`'type=cache,target=/c,"id=a,b"'`)).toMatchObject({ id: 'a,b' });
  });

  it.each([
    ['type=blnd,target=/m', 'unsupported mount type "blnd"'],
    ['targt=/m', "unexpected key 'targt' in 'targt=/m'"],
    ['target', "invalid field 'target' must be a key=value pair"],
    ['target=/', 'invalid mount target "/"'],
    ['target=/m,required', "unexpected key 'required' for mount type 'bind'"],
    ['target=/m,size=1', "unexpected key 'size' for mount type 'bind'"],
    ['target=/m,sharing=locked', "unexpected key 'sharing' for mount type 'bind'"],
    ['target=/m,uid=1', 'uid not allowed for "bind" type mounts'],
    ['target=/m,ro=x', 'invalid value for ro: x'],
    ['type=cache,target=/m,sharing=mine', 'unsupported sharing value "mine"'],
    ['type=cache,target=/m,mode=9', 'invalid value 9 for mode'],
    ['type=tmpfs,target=/m,size=big', 'invalid value for size: big'],
    ['type=secret', 'invalid secret mount. one of source, target required'],
    ['type=secret,id=a,from=b', 'secret mount should not have a from'],
    ['type=secret,id=a,source=b', "both source and id can't be set"],
    ['target=/m,a"b', 'failed to parse csv mounts: misplaced quote'],
  ])('run: --mount=%s is refused', (text, message) => {
    expect(errorOf(`FROM x\nRUN --mount='${text}' a`)).toBe(message);
  });
});

describe('config: instructions', () => {
  it('config: ENTRYPOINT takes an inherited CMD away, but not this stage’s own', () => {
    expect(configOf('ENTRYPOINT ["a"]')).toEqual({ Env: ['PATH=/p'], Entrypoint: ['a'] });
    expect(configOf('CMD ["c"]\nENTRYPOINT ["a"]')).toMatchObject({ Entrypoint: ['a'], Cmd: ['c'] });
    expect(configOf('ENTRYPOINT ["a"]\nCMD ["c"]')).toMatchObject({ Entrypoint: ['a'], Cmd: ['c'] });
    const child = complete('FROM x AS a\nCMD ["c"]\nFROM a\nENTRYPOINT ["e"]').draft.config.config;
    expect(child).not.toHaveProperty('Cmd');
  });

  it('config: empty lists reset', () => {
    expect(configOf('CMD []\nENTRYPOINT []')).toEqual({ Env: ['PATH=/p'], ArgsEscaped: true });
  });

  it('config: HEALTHCHECK', () => {
    expect(
      configOf(
        'HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=2s --retries=4 CMD a "b"',
      ),
    ).toMatchObject({
      Healthcheck: {
        Test: ['CMD-SHELL', 'a "b"'],
        Interval: 90e9,
        Timeout: 5e8,
        StartPeriod: 3600e9,
        StartInterval: 2e9,
        Retries: 4,
      },
    });
    expect(configOf('HEALTHCHECK CMD ["a", "b"]')).toMatchObject({ Healthcheck: { Test: ['CMD', 'a', 'b'] } });
    expect(configOf('HEALTHCHECK none')).toMatchObject({ Healthcheck: { Test: ['NONE'] } });
  });

  it('config: EXPOSE', () => {
    expect(ports('80 53/UDP 81/sctp')).toEqual(['53/udp', '80/tcp', '81/sctp']);
    expect(ports('$p')).toEqual(['1/tcp', '2/udp']);
    expect(ports('$r/tcp 7')).toEqual(['5/tcp', '6/tcp', '7/tcp']);
    expect(ports('127.0.0.1:8080:80 [::1]:1:2 9:10')).toEqual(['80/tcp', '10/tcp', '2/tcp']);
  });

  it.each(['0-65536', 'a', '80/icmp', '9-8', '/tcp', '1.2.3:1:2', '1-2:5-9', '80-'])(
    'config: EXPOSE %s is refused',
    (port) => {
      expect(errorOf(`FROM x\nEXPOSE ${port}`)).toMatch(/invalid|no port/);
    },
  );

  it('config: the rest', () => {
    expect(
      configOf(
        'ENV v=1\nUSER $v:2\nSTOPSIGNAL SIG$s\nVOLUME /a/$v "/b c"'
          .replace('SIG$s', 'SIGTERM')
          .replace(' "/b c"', ' /b'),
      ),
    ).toMatchObject({ User: '1:2', StopSignal: 'SIGTERM', Volumes: { '/a/1': {}, '/b': {} } });
    expect(complete('FROM x\nMAINTAINER me <a@b>').draft.config.author).toBe('me <a@b>');
    expect(configOf('WORKDIR /a\nWORKDIR b\nWORKDIR ../c/./')).toMatchObject({ WorkingDir: '/a/c' });
  });

  it.each(['TERM', 'sigkill', '9', 'SIGRTMIN+3', 'RTMAX-1'])('config: STOPSIGNAL %s is a signal', (signal) => {
    expect(configOf(`STOPSIGNAL ${signal}`)).toMatchObject({ StopSignal: signal });
  });

  it.each(['SIGFOO', '0', 'RTMIN+99'])('config: STOPSIGNAL %s is none', (signal) => {
    expect(errorOf(`FROM x\nSTOPSIGNAL ${signal}`)).toBe(`invalid signal: ${signal}`);
  });

  it('config: WORKDIR belongs to the user', () => {
    expect(made('u')).toEqual([{ type: 'mkdir', path: '/w', mode: 0o755, owner: { user: 'u', unknown: 'ignore' } }]);
    expect(made('1000:100')).toMatchObject([{ owner: { user: '1000', group: '100' } }]);
    expect(made('root')).toMatchObject([{ owner: { user: '0' } }]);
  });
});

describe('history: texts', () => {
  it.each([
    ['ENV a=b c="d e"', 'ENV a=b c=d e'],
    ['ENV a b c', 'ENV a=b c'],
    ['LABEL a="b" c=d', 'LABEL a=b c=d'],
    ['ARG a b="c d"', 'ARG a b=c d'],
    ['CMD ["a", "b\\"c"]', 'CMD ["a" "b\\"c"]'],
    ['CMD a b', 'CMD ["/bin/sh" "-c" "a b"]'],
    ['CMD []', 'CMD []'],
    ['ENTRYPOINT ["ä\\u0001\\n"]', 'ENTRYPOINT ["ä\\x01\\n"]'],
    ['SHELL ["/bin/bash", "-c"]', 'SHELL [/bin/bash -c]'],
    ['VOLUME /a /b', 'VOLUME [/a /b]'],
    ['VOLUME ["/a"]', 'VOLUME [/a]'],
    ['EXPOSE 80 22-23/udp', 'EXPOSE [22/udp 23/udp 80/tcp]'],
    ['USER a:b', 'USER a:b'],
    ['STOPSIGNAL SIGINT', 'STOPSIGNAL SIGINT'],
    ['MAINTAINER me', 'MAINTAINER me'],
    ['WORKDIR a', 'WORKDIR /a'],
    ['HEALTHCHECK NONE', `HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" '\\x00'}`],
    [
      'HEALTHCHECK --interval=90s --timeout=1.5s --retries=3 CMD a',
      `HEALTHCHECK &{["CMD-SHELL" "a"] "1m30s" "1.5s" "0s" "0s" '\\x03'}`,
    ],
    [
      'HEALTHCHECK --start-period=250ms --start-interval=2h --retries=65 CMD ["a"]',
      `HEALTHCHECK &{["CMD" "a"] "0s" "0s" "250ms" "2h0m0s" 'A'}`,
    ],
    ['RUN a  b', 'RUN /bin/sh -c a  b # buildkit'],
    ['RUN ["a", "b c"]', 'RUN a b c # buildkit'],
    ['ADD a /b', 'ADD a /b # buildkit'],
  ])('history: %s', (line, expected) => {
    expect(historyOf(complete(`FROM x\n${line}`))).toEqual([expected]);
  });

  it('history: steps are numbered over the image and what changes files, right-aligned', () => {
    const text = ['FROM x AS a', ...Array.from({ length: 9 }, () => 'RUN a'), 'ENV b=1', 'COPY c d'].join('\n');
    const names = stepNames(complete(`${text}\nFROM a`));
    expect([names[0]?.slice(0, 11), names[1], names.at(-1)]).toEqual([
      '[a  1/11] F',
      '[a  2/11] RUN a',
      '[a 11/11] COPY c d',
    ]);
  });

  it('history: several platforms are named in steps', () => {
    const arm = { os: 'linux', architecture: 'arm64' };
    const names = stepNames(
      complete('FROM --platform=$BUILDPLATFORM x AS a\nARG TARGETPLATFORM\nRUN a', {
        multiPlatform: 'yes',
        platform: arm,
        platformAsked: 'yes',
      }),
    );
    expect([names[0]?.slice(0, 22), names[1]]).toEqual(['[linux/amd64 1/2] FROM', '[linux/amd64->arm64 2/2] RUN a']);
  });
});
