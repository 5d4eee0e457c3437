import { describeDifferences } from './differential-case.ts';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

describeDifferences('expansion', [
  {
    says: '$n, ${n}, unset and empty names, positional and special ones',
    dockerfile:
      'FROM scratch\nENV v=value e=\nLABEL a=$v b=${v} c=${v}x d=$vx f=[$e] g=$unset/ h=$v.$v i=$1x j=a$ k=$. l=é$v\n',
  },
  {
    says: ':- and :+, with words that are expanded themselves',
    dockerfile: `FROM scratch
ENV v=value e=
LABEL a=\${u:-w} c=\${e:-w} f=\${v:-w} h=[\${u:+w}] j=[\${e:+w}] l=\${v:+w}
LABEL n=\${u:-\${e:-\${v}}} o=\${u:-"a b"} p="\${u:-'c'}" q=\${v:+$v-$v} r=\${u:-}
`,
  },
  {
    says: '- and + ask whether a name is set, not whether it is empty',
    alone: 'buildah 1.28 knows only the forms with a colon',
    dockerfile: `FROM scratch
ENV v=value e=
ARG n
LABEL b=\${u-w} d=[\${e-w}] g=\${v-w} i=[\${u+w}] k=\${e+w} m=\${v+w} n=\${n-w}
`,
    expected: { config: { Labels: { b: 'w', d: '[]', g: 'value', i: '[]', k: 'w', m: 'w', n: 'w' } } },
  },
  {
    says: ':? fails where the name is unset, with its message',
    dockerfile: 'FROM scratch\nLABEL a="${u:?must be given}"\n',
    fails: /u: must be given/,
  },
  {
    says: ':? and ? are the value where it is set; ? takes the empty one',
    alone: 'buildah 1.28 knows no ?',
    dockerfile: 'FROM scratch\nENV v=value e=\nLABEL a=${v:?m} b=${v?m} c=[${e?m}]\n',
    expected: { config: { Labels: { a: 'value', b: 'value', c: '[]' } } },
  },
  {
    says: '# ## % %% take away what a glob matches',
    alone: 'buildah 1.28 knows none of these',
    dockerfile: `FROM scratch
ENV v=a/b/c.tar.gz e=
LABEL a=\${v#*/} b=\${v##*/} c=\${v%.*} d=\${v%%.*} f=\${v#?} g=\${v#x} h=[\${e#*}] i=[\${u%x}] j=\${v##*} k=\${v%z} l=\${v%}
`,
    expected: {
      config: {
        Labels: {
          a: 'b/c.tar.gz',
          b: 'c.tar.gz',
          c: 'a/b/c.tar',
          d: 'a/b/c',
          f: '/b/c.tar.gz',
          g: 'a/b/c.tar.gz',
          h: '[]',
          i: '[]',
          j: '',
          k: 'a/b/c.tar.g',
          l: 'a/b/c.tar.gz',
        },
      },
    },
  },
  {
    says: '/ and // replace what a glob matches, literally',
    alone: 'buildah 1.28 knows none of these',
    dockerfile: `FROM scratch
ENV v=a-b-c p=/x/y r=\\$1
LABEL a=\${v/-/+} b=\${v//-/+} c=\${v/?-/} d=\${p//\\//_} f=\${v//-/} g=\${v/b*/z} h=\${v/x/y} i=\${v//[/y} j=\${v/a/$r}
`,
    expected: {
      config: {
        Labels: {
          a: 'a+b-c',
          b: 'a+b+c',
          c: 'b-c',
          d: '_x_y',
          f: 'abc',
          g: 'a-z',
          h: 'a-b-c',
          i: 'a-b-c',
          j: '$1-b-c',
        },
      },
    },
  },
  ...['${n:=w}', '${!n}', '${#n}', '${n:YYY}', '${}', '${.}', '${n'].map((text) => ({
    says: `${text} is refused`,
    dockerfile: `FROM scratch\nENV n=v\nLABEL a=${text}\n`,
    alone: 'only the refusal matters, and buildah takes some of them',
    fails: /error/,
  })),
  {
    says: 'quotes: single ones keep $, double ones expand; an escaped $ stays',
    dockerfile: `FROM scratch
ENV v=value
LABEL a='$v' b="$v" c=\\$v d="\\$v" e='a\\b' f="a\\b" g=a\\b h="$v"'$v'$v i="it's $v" j='say "$v"'
`,
  },
  {
    says: 'same line: ENV sees what was before the instruction (trap 1)',
    dockerfile: 'FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n',
    expected: { config: { Env: [PATH, 'abc=bye', 'def=hello', 'ghi=bye'] } },
  },
  {
    says: 'same line: ARG sees the names before it (trap 1)',
    dockerfile: 'ARG X=g Y=$X\nFROM scratch\nARG A=1 B=$A\nARG Y\nLABEL b=$B y=$Y\n',
    deviations: ['arg-lines-of-several'],
    expected: { config: { Labels: { b: '1', y: 'g' } } },
  },
  {
    says: 'which instructions expand: keys of ENV and LABEL, EXPOSE, USER, VOLUME, WORKDIR, STOPSIGNAL',
    dockerfile: `FROM busybox
ARG k=key
ARG p=80
ARG u=app
ARG d=/dir
ARG s=SIGINT
ENV $k=v e_\${k}=w
LABEL $k=v "x $k"=w
EXPOSE $p \${p}81/udp
USER $u:$u
VOLUME $d \${d}2
VOLUME ["$d/json"]
WORKDIR \${d}/x
STOPSIGNAL $s
`,
  },
  {
    says: 'EXPOSE splits the words of a value',
    dockerfile: 'FROM scratch\nARG p="80 90/udp"\nEXPOSE $p\n',
    alone: 'buildah does not split',
    expected: { config: { ExposedPorts: { '80/tcp': {}, '90/udp': {} } } },
  },
  {
    says: 'never expanded: CMD, ENTRYPOINT, HEALTHCHECK, SHELL, ONBUILD text, MAINTAINER',
    dockerfile: `FROM scratch
ENV v=value
MAINTAINER $v
SHELL ["/bin/$v", "-c"]
CMD echo $v
ENTRYPOINT ["$v"]
HEALTHCHECK CMD echo $v
ONBUILD RUN echo $v
`,
    deviations: ['shell-of-cmd'],
    expected: {
      author: '$v',
      config: {
        Shell: ['/bin/$v', '-c'],
        Cmd: ['/bin/$v', '-c', 'echo $v'],
        Entrypoint: ['$v'],
        OnBuild: ['RUN echo $v'],
      },
    },
  },
  {
    says: 'COPY: sources, destination and --chown',
    dockerfile: 'FROM busybox\nARG s=a d=/dest o=app\nCOPY --chown=$o:${o} $s ${s}b* $d/\n',
    context: { a: 'a', ab1: 'b', 'ab2/c': 'c' },
    expected: { files: { '/dest/a': 'file 644 1000:1001 "a"', '/dest/c': 'file 644 1000:1001 "c"' } },
  },
]);

describeDifferences('scopes', [
  {
    says: 'ARG after ENV wins during the build, the image keeps the ENV (trap 2)',
    dockerfile: 'FROM busybox\nENV X=env\nARG X=arg\nLABEL x=$X\nRUN echo $X > /out\n',
    deviations: ['env-always-wins'],
    expected: { files: { '/out': 'file 644 0:0 "arg\\n"' }, config: { Labels: { x: 'arg' } } },
  },
  {
    says: 'ENV after ARG wins',
    dockerfile: 'FROM busybox\nARG X=arg\nENV X=env-$X\nLABEL x=$X\nRUN echo $X > /out\n',
    expected: { files: { '/out': 'file 644 0:0 "env-arg\\n"' }, config: { Labels: { x: 'env-arg' } } },
  },
  {
    says: 'a global ARG is invisible in a stage until named there; a default of the stage beats the global one (trap 3)',
    dockerfile: 'ARG G=global\nARG H=global\nFROM scratch\nLABEL before=[$G]\nARG G\nARG H=stage\nLABEL g=$G h=$H\n',
    expected: { config: { Labels: { before: '[]', g: 'global', h: 'stage' } } },
  },
  {
    says: '--build-arg beats every default',
    dockerfile: 'ARG G=global\nFROM scratch\nARG G=stage\nARG N\nARG V=v\nLABEL g=$G n=[$N] v=$V\n',
    args: ['--build-arg', 'G=given', '--build-arg', 'V='],
    expected: { config: { Labels: { g: 'given', n: '[]', v: '' } } },
  },
  {
    says: 'a stage inherits ARG and ENV of the stage that it starts from, and of no other',
    dockerfile: `FROM busybox AS a
ARG A=arg-a
ENV E=env-a
FROM busybox AS b
LABEL b=[$A][$E]
FROM a
LABEL c=[$A][$E]
RUN echo "[$A][$E]" > /out
`,
    deviations: ['arg-not-inherited'],
    expected: { config: { Labels: { c: '[arg-a][env-a]' } }, files: { '/out': 'file 644 0:0 "[arg-a][env-a]\\n"' } },
  },
  {
    says: 'the environment of RUN: ARG, ENV and HOME, in shell and exec form',
    dockerfile:
      'FROM busybox\nARG A=1\nARG U\nENV E="two words"\nRUN env | grep -E "^(A|E|U|HOME|PATH)=" | sort > /shell\nRUN ["/bin/sh", "-c", "echo $A $E $HOME > /exec"]\n',
  },
  {
    says: 'automatic platform args: after they are declared only; --platform of FROM sees them',
    dockerfile: `FROM --platform=$BUILDPLATFORM busybox
LABEL before=[$TARGETARCH]
ARG TARGETPLATFORM
ARG TARGETOS
ARG TARGETARCH
ARG TARGETVARIANT
ARG BUILDPLATFORM
ARG BUILDARCH
LABEL p=$TARGETPLATFORM o=$TARGETOS a=$TARGETARCH v=[$TARGETVARIANT] b=$BUILDPLATFORM c=$BUILDARCH
`,
  },
  {
    says: 'TARGETSTAGE is the name of --target',
    dockerfile: 'ARG TARGETSTAGE\nFROM scratch AS one\nARG TARGETSTAGE\nLABEL t=$TARGETSTAGE\nFROM scratch AS two\n',
    alone: 'buildah does not set it',
    args: ['--target', 'one'],
    expected: { config: { Labels: { t: 'one' } } },
  },
  {
    says: 'proxies: usable without ARG and absent from config and history (trap 30)',
    alone: 'buildah passes on only the spelling that was given',
    dockerfile: 'FROM busybox\nRUN echo "$http_proxy,$HTTP_PROXY" > /out\n',
    args: ['--build-arg', 'http_proxy=http://p:1'],
    expected: {
      files: { '/out': 'file 644 0:0 "http://p:1,http://p:1\\n"' },
      history: ['RUN /bin/sh -c echo "$http_proxy,$HTTP_PROXY" > /out # buildkit'],
    },
  },
  {
    says: 'proxies: an ARG brings them into the history',
    dockerfile: 'FROM busybox\nARG http_proxy\nRUN echo $http_proxy > /out\n',
    args: ['--build-arg', 'http_proxy=http://p:1'],
    expected: {
      history: [
        'ARG http_proxy=http://p:1',
        'RUN |1 http_proxy=http://p:1 /bin/sh -c echo $http_proxy > /out # buildkit',
      ],
    },
  },
]);
