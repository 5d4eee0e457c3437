import { describeDifferences } from './differential-case.ts';

describeDifferences('stages and bases', [
  {
    says: 'FROM: names in any case, stages by number and name',
    alone: 'to buildah the case of a name matters',
    dockerfile: `FROM busybox AS First
RUN echo 1 > /one
FROM busybox as second
COPY --from=first /one /one
COPY --from=0 /one /again
FROM scratch
COPY --from=1 /one /again /
`,
    expected: { files: { '/one': 'file 644 0:0 "1\\n"', '/again': 'file 644 0:0 "1\\n"' } },
  },
  {
    says: 'FROM: a stage whose name comes twice is the later one',
    dockerfile:
      'FROM busybox AS a\nRUN echo 1 > /f\nFROM busybox AS a\nRUN echo 2 > /f\nFROM a\nRUN cp /f /g\nCOPY --from=a /f /h\n',
    alone: 'in buildah it depends on which of the two ends first',
    expected: { files: { '/g': 'file 644 0:0 "2\\n"', '/h': 'file 644 0:0 "2\\n"' } },
  },
  {
    says: 'FROM: expands global ARGs, with defaults',
    dockerfile:
      'ARG BASE=busybox\nARG TAG\nARG NAME=st\nFROM ${BASE}:${TAG:-latest} AS ${NAME}age\nRUN echo x > /x\nFROM scratch\nCOPY --from=stage /x /\n',
    alone: 'buildah does not expand the name after AS, and BuildKit neither: see the next case',
    fails: /\$\{NAME\}age/,
  },
  {
    says: 'FROM: expands global ARGs in the base name, with defaults and --build-arg',
    dockerfile:
      'ARG BASE=nothing\nARG TAG\nFROM ${BASE}:${TAG:-latest} AS stage\nRUN echo x > /x\nFROM scratch\nCOPY --from=stage /x /\n',
    args: ['--build-arg', 'BASE=busybox'],
  },
  {
    says: 'FROM: an empty base name is refused',
    dockerfile: 'ARG BASE\nFROM $BASE\nLABEL a=b\n',
    fails: /base name \(\$BASE\) should not be blank/,
  },
  {
    says: 'FROM: AS needs a valid name',
    dockerfile: 'FROM busybox AS 1a\n',
    fails: /1a/,
    alone: 'buildah takes any name',
  },
  {
    says: 'FROM: two words are refused',
    dockerfile: 'FROM busybox AS\n',
    fails: /FROM requires either one or three arguments/,
  },
  {
    says: 'a stage that the target does not need is neither run nor resolved (trap 25)',
    dockerfile:
      'FROM no-such-image.invalid/x AS unused\nRUN false\nFROM busybox AS alsounused\nRUN exit 3\nFROM busybox\nRUN touch /ok\n',
    expected: { files: { '/ok': 'file 644 0:0 ""' } },
  },
  {
    says: '--target: by name in any case, and everything behind it is left out',
    dockerfile: 'FROM busybox AS one\nRUN touch /one\nFROM one AS two\nRUN touch /two\nFROM two\nRUN false\n',
    args: ['--target', 'two'],
    expected: { files: { '/one': 'file 644 0:0 ""', '/two': 'file 644 0:0 ""' } },
  },
  {
    says: '--target: by number',
    dockerfile: 'FROM busybox\nLABEL a=0\nFROM busybox\nLABEL a=1\nFROM busybox\nLABEL a=2\n',
    args: ['--target', '1'],
    expected: { config: { Labels: { a: '1' } } },
  },
  {
    says: '--target: an unknown one is refused',
    dockerfile: 'FROM busybox AS build\nLABEL a=0\n',
    args: ['--target', 'biuld'],
    fails: /biuld/,
  },
  {
    says: 'a stage inherits the whole config of the stage that it starts from',
    dockerfile: `FROM busybox AS a
ENV A=1
LABEL l=1
USER app
EXPOSE 80
WORKDIR /w
CMD ["c"]
ENTRYPOINT ["e"]
STOPSIGNAL SIGINT
HEALTHCHECK CMD x
FROM a
ENV B=2
LABEL m=2
`,
  },
  {
    says: 'COPY --from: owners are kept, files of the context belong to root (trap 12)',
    dockerfile:
      'FROM busybox AS a\nRUN mkdir /d && echo 1 > /d/f && chown -R 11:12 /d && chmod 2750 /d\nFROM busybox\nCOPY --from=a /d /d1\nCOPY --from=a /d/f /f\nCOPY --from=a --chown=app /d /d2\nCOPY own /own\n',
    context: { own: { content: 'x', uid: 77, gid: 78, mode: 0o640 } },
    expected: {
      files: {
        '/d1': 'directory 755 0:0',
        '/d1/f': 'file 644 11:12 "1\\n"',
        '/f': 'file 644 11:12 "1\\n"',
        '/d2': 'directory 755 1000:1001',
        '/d2/f': 'file 644 1000:1001 "1\\n"',
        '/own': 'file 640 0:0 "x"',
      },
    },
  },
  {
    says: 'COPY --from: an image',
    dockerfile: 'FROM scratch\nCOPY --from=busybox /etc/passwd /tmp /x/\n',
    expected: { files: { '/x': 'directory 755 0:0', '/tmp': null } },
  },
  {
    says: 'COPY --from: itself and later stages are refused (trap 42)',
    dockerfile: 'FROM busybox AS a\nCOPY --from=a /etc/passwd /x\n',
    fails: /circular|"a"|itself/,
    alone: 'only the refusal matters',
  },
  {
    says: 'COPY --from: a variable is refused',
    dockerfile: 'ARG S=a\nFROM busybox AS a\nFROM busybox\nARG S=a\nCOPY --from=$S /etc/passwd /x\n',
    fails: /define/,
    alone: 'buildah expands it',
  },
  {
    says: 'ONBUILD of a base image runs after FROM and is not inherited (trap 26)',
    bases: {
      onbuildbase:
        'FROM busybox\nONBUILD RUN echo trigger > /trigger\nONBUILD COPY a /a\nONBUILD ENV E=v\nONBUILD WORKDIR /w\n',
    },
    context: { a: 'from the child\n' },
    dockerfile:
      'FROM onbuildbase AS child\nRUN cp /trigger second && echo $E >> second\nFROM child\nRUN ls /w > /list\n',
    expected: {
      files: {
        '/trigger': 'file 644 0:0 "trigger\\n"',
        '/a': 'file 644 0:0 "from the child\\n"',
        '/w/second': 'file 644 0:0 "trigger\\nv\\n"',
        '/list': 'file 644 0:0 "second\\n"',
      },
      config: { OnBuild: null },
    },
  },
  {
    says: 'ONBUILD of a base stage runs where the stage is a base',
    dockerfile:
      'FROM busybox AS base\nONBUILD RUN echo x >> /count\nFROM base AS one\nFROM one\nRUN echo y >> /count\n',
    expected: { files: { '/count': 'file 644 0:0 "x\\ny\\n"' }, config: { OnBuild: null } },
  },
  {
    says: 'ONBUILD COPY --from asks for another stage (trap 26)',
    alone: 'buildah 1.28 looks for stages before it knows the triggers',
    bases: { onbuildcopy: 'FROM busybox\nONBUILD COPY --from=tools /tool /tool\n' },
    dockerfile: 'FROM busybox AS tools\nRUN echo tool > /tool\nFROM onbuildcopy\nRUN cat /tool > /out\n',
    expected: { files: { '/out': 'file 644 0:0 "tool\\n"' } },
  },
  {
    says: 'named contexts replace a base and a source',
    dockerfile: 'FROM base\nCOPY --from=files . /files/\n',
    alone: 'the base is a layout directory, which buildah 1.28 takes otherwise',
    context: { 'named/a': 'a', 'named/b/c': 'c', 'named/.dockerignore': 'b\n' },
    tsbuildArgs: ['--build-context', 'base=docker-image://busybox', '--build-context', 'files={CONTEXT}/named'],
    expected: { files: { '/files/a': 'file 644 0:0 "a"', '/files/b': null } },
  },
]);
