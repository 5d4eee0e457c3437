import { describeDifferences } from './differential-case.ts';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

describeDifferences('metadata', [
  {
    says: 'ENV: replaces in place, keeps the order, keeps = in values',
    dockerfile: 'FROM busybox\nENV A=1 B=2\nENV C=3\nENV A=new D="x=y=z"\nENV PATH=/opt/bin:$PATH\n',
    deviations: ['env-of-path'],
    expected: {
      config: {
        Env: [
          'PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
          'A=new',
          'B=2',
          'C=3',
          'D=x=y=z',
        ],
      },
    },
  },
  {
    says: 'ENV: scratch has the default PATH, and no other',
    dockerfile: 'FROM scratch\nENV A=1\n',
    expected: { config: { Env: [PATH, 'A=1'], WorkingDir: '/' }, layers: 0 },
  },
  {
    says: 'LABEL: several, overridden ones, lines, and --label last',
    dockerfile:
      'FROM busybox\nLABEL a=1 b=2\nLABEL a=3 "with space"="v w" \\\n  multi="line1\\\nline2"\nLABEL l=file\n',
    args: ['--label', 'l=flag', '--label', 'm=n'],
    expected: { config: { Labels: { a: '3', b: '2', 'with space': 'v w', multi: 'line1line2', l: 'flag', m: 'n' } } },
  },
  {
    says: 'CMD and ENTRYPOINT: shell and exec forms',
    dockerfile: 'FROM busybox\nENTRYPOINT exec top -b\nCMD echo "a  b" && c\n',
    expected: { config: { Entrypoint: ['/bin/sh', '-c', 'exec top -b'], Cmd: ['/bin/sh', '-c', 'echo "a  b" && c'] } },
  },
  {
    says: 'ENTRYPOINT resets an inherited CMD (trap 18)',
    dockerfile: 'FROM busybox\nENTRYPOINT ["/e"]\n',
    expected: { config: { Entrypoint: ['/e'], Cmd: null } },
  },
  {
    says: 'ENTRYPOINT keeps a CMD of its stage, before or after it (trap 18)',
    dockerfile: 'FROM busybox\nCMD ["c"]\nENTRYPOINT ["/e"]\nENTRYPOINT ["/f"]\n',
    expected: { config: { Entrypoint: ['/f'], Cmd: ['c'] } },
  },
  {
    says: 'ENTRYPOINT resets the CMD of the stage it starts from',
    dockerfile: 'FROM busybox AS a\nCMD ["c"]\nFROM a\nENTRYPOINT ["/e"]\n',
    expected: { config: { Entrypoint: ['/e'], Cmd: null } },
  },
  {
    says: '[] resets CMD and ENTRYPOINT',
    dockerfile: 'FROM busybox\nENTRYPOINT ["/e"]\nENTRYPOINT []\nCMD ["x"]\nCMD []\n',
  },
  {
    says: 'SHELL: holds for later RUN, CMD and ENTRYPOINT, and is inherited by stages',
    dockerfile: `FROM busybox AS a
SHELL ["/bin/sh", "-ec"]
RUN echo $- > /out
FROM a
CMD text
ENTRYPOINT more text
`,
    deviations: ['shell-of-cmd'],
    expected: {
      config: {
        Shell: ['/bin/sh', '-ec'],
        Cmd: ['/bin/sh', '-ec', 'text'],
        Entrypoint: ['/bin/sh', '-ec', 'more text'],
      },
    },
  },
  {
    says: 'SHELL: must be JSON',
    dockerfile: 'FROM busybox\nSHELL /bin/sh -c\n',
    fails: /SHELL requires the arguments to be in JSON form/,
  },
  {
    says: 'EXPOSE: numbers, protocols, ranges, several',
    dockerfile: 'FROM busybox\nEXPOSE 80 443/tcp 53/UDP 90/sctp\nEXPOSE 8000-8002 9000-9001/udp\n',
    deviations: ['expose-texts'],
    expected: {
      config: {
        ExposedPorts: {
          '80/tcp': {},
          '443/tcp': {},
          '53/udp': {},
          '90/sctp': {},
          '8000/tcp': {},
          '8001/tcp': {},
          '8002/tcp': {},
          '9000/udp': {},
          '9001/udp': {},
        },
      },
    },
  },
  {
    says: 'EXPOSE: no port is refused',
    dockerfile: 'FROM busybox\nEXPOSE http\n',
    fails: /http/,
    alone: 'buildah takes any text',
  },
  {
    says: 'VOLUME: words and JSON; config only, and changes below are kept (trap 19)',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /v1/sub && echo before > /v1/f\nVOLUME /v1 /v2\nVOLUME ["/v 3", "/v1"]\nRUN echo after > /v1/f && touch /v1/sub/new\nCOPY a /v1/\n',
    context: { a: 'a' },
    deviations: ['volumes'],
    expected: {
      config: { Volumes: { '/v1': {}, '/v2': {}, '/v 3': {} } },
      files: {
        '/v1/f': 'file 644 0:0 "after\\n"',
        '/v1/sub/new': 'file 644 0:0 ""',
        '/v1/a': 'file 644 0:0 "a"',
        '/v2': null,
      },
    },
  },
  {
    says: 'USER: kept verbatim, the last counts',
    dockerfile: 'FROM busybox\nUSER app\nUSER nobody:www\nUSER 1000:0\n',
    expected: { config: { User: '1000:0' }, layers: 0 },
  },
  { says: 'STOPSIGNAL: names and numbers', dockerfile: 'FROM busybox\nSTOPSIGNAL SIGKILL\nSTOPSIGNAL 9\n' },
  {
    says: 'STOPSIGNAL: an unknown one is refused',
    dockerfile: 'FROM busybox\nSTOPSIGNAL SIGNOPE\n',
    fails: /SIGNOPE/,
    alone: 'buildah takes any text',
  },
  {
    says: 'HEALTHCHECK: all flags, shell form',
    dockerfile:
      'FROM busybox\nHEALTHCHECK --interval=1m30s --timeout=3s --start-period=500ms --retries=5 CMD wget -q "http://x/" || exit 1\n',
    expected: {
      config: {
        Healthcheck: {
          Test: ['CMD-SHELL', 'wget -q "http://x/" || exit 1'],
          Interval: 90_000_000_000,
          Timeout: 3_000_000_000,
          StartPeriod: 500_000_000,
          Retries: 5,
        },
      },
    },
  },
  {
    says: 'HEALTHCHECK: --start-interval, exec form',
    dockerfile: 'FROM busybox\nHEALTHCHECK --start-interval=2s CMD ["/check", "it"]\n',
    alone: 'buildah 1.28 does not know --start-interval',
    expected: { config: { Healthcheck: { Test: ['CMD', '/check', 'it'], StartInterval: 2_000_000_000 } } },
  },
  {
    says: 'HEALTHCHECK: NONE',
    dockerfile: 'FROM busybox\nHEALTHCHECK CMD x\nHEALTHCHECK NONE\n',
    expected: { config: { Healthcheck: { Test: ['NONE'] } } },
  },
  {
    says: 'HEALTHCHECK: less than a millisecond is refused',
    dockerfile: 'FROM busybox\nHEALTHCHECK --interval=1us CMD x\n',
    alone: 'buildah takes it',
    fails: /1ms/,
  },
  {
    says: 'MAINTAINER: is the author',
    dockerfile: 'FROM busybox\nMAINTAINER A B <a@b>\n',
    expected: { author: 'A B <a@b>' },
  },
  {
    says: 'ONBUILD: texts are kept in order, and nothing runs',
    dockerfile: 'FROM busybox\nONBUILD RUN touch /x\nONBUILD   COPY   . /app\nonbuild env A=b\n',
    expected: { config: { OnBuild: ['RUN touch /x', 'COPY   . /app', 'env A=b'] }, layers: 0 },
  },
  ...['ONBUILD', 'FROM', 'MAINTAINER'].map((keyword) => ({
    says: `ONBUILD: refuses ${keyword}`,
    dockerfile: `FROM busybox\nONBUILD ${keyword} x\n`,
    alone: 'only the refusal matters',
    fails: new RegExp(keyword),
  })),
  {
    says: 'WORKDIR: absolute, relative, cleaned, expanded',
    dockerfile: 'FROM busybox\nENV D=dir\nWORKDIR /a//b/../c/\nWORKDIR $D\nWORKDIR ./e\nRUN pwd > out\n',
    expected: {
      config: { WorkingDir: '/a/c/dir/e' },
      files: { '/a/c/dir/e/out': 'file 644 0:0 "/a/c/dir/e\\n"', '/a': 'directory 755 0:0', '/a/b': null },
    },
  },
  {
    says: 'WORKDIR: an empty image gets nothing but the directory (trap 43)',
    dockerfile: 'FROM scratch\nWORKDIR /only/this\n',
    expected: { files: { '/only': 'directory 755 0:0', '/only/this': 'directory 755 0:0' }, layers: 1 },
  },
  {
    says: 'WORKDIR: / makes no layer',
    dockerfile: 'FROM busybox\nWORKDIR /\n',
    expected: { layers: 0, config: { WorkingDir: '/' } },
  },
  {
    says: 'WORKDIR: new directories belong to USER, those there stay as they are (trap 10)',
    dockerfile:
      'FROM busybox\nRUN mkdir -m 700 /there && chown 5:6 /there\nUSER app\nWORKDIR /there/new/deep\nUSER 1234\nWORKDIR /num/x\nUSER 7:8\nWORKDIR /pair\n',
    expected: {
      files: {
        '/there': 'directory 700 5:6',
        '/there/new': 'directory 755 1000:1001',
        '/there/new/deep': 'directory 755 1000:1001',
        '/num': 'directory 755 1234:1234',
        '/num/x': 'directory 755 1234:1234',
        '/pair': 'directory 755 7:8',
      },
    },
  },
  {
    says: 'WORKDIR: follows links inside the image, a tilde is a name',
    dockerfile: 'FROM busybox\nRUN mkdir /real && ln -s /real /link\nWORKDIR /link/sub\nRUN touch f\nWORKDIR ~/x\n',
    expected: {
      files: {
        '/real/sub/f': 'file 644 0:0 ""',
        '/real/sub/~/x': 'directory 755 0:0',
        '/link': 'symlink 0:0 -> /real',
      },
      config: { WorkingDir: '/link/sub/~/x' },
    },
  },
  {
    says: 'history: what BuildKit writes for each instruction, and which have a layer',
    dockerfile: `FROM busybox
ARG A=1
ARG B
ENV E=v F="x y"
LABEL l=m
WORKDIR /w
COPY a b/ ./
COPY --chown=1:2 --chmod=600 a /f
ADD a /g
RUN echo "$A"
RUN ["echo", "x"]
EXPOSE 80 90/udp
VOLUME /v
USER app
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-c"]
HEALTHCHECK --retries=2 CMD x
ENTRYPOINT ["e"]
CMD echo hi
ONBUILD RUN x
`,
    context: { a: 'a', 'b/c': 'c' },
    args: ['--build-arg', 'B=2'],
    expected: {
      layers: 6,
      history: [
        'ARG A=1',
        'ARG B=2',
        'ENV E=v F=x y',
        'LABEL l=m',
        'WORKDIR /w',
        'COPY a b/ ./ # buildkit',
        'COPY --chown=1:2 --chmod=600 a /f # buildkit',
        'ADD a /g # buildkit',
        'RUN |2 A=1 B=2 /bin/sh -c echo "$A" # buildkit',
        'RUN |2 A=1 B=2 echo x # buildkit',
        'EXPOSE [80/tcp 90/udp]',
        'VOLUME [/v]',
        'USER app',
        'STOPSIGNAL SIGINT',
        'SHELL [/bin/sh -c]',
        'HEALTHCHECK &{["CMD-SHELL" "x"] "0s" "0s" "0s" "0s" \'\\x02\'}',
        'ENTRYPOINT ["e"]',
        'CMD ["/bin/sh" "-c" "echo hi"]',
      ],
    },
  },
]);
