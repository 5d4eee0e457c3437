import { describeDifferences } from './differential-case.ts';

describeDifferences('layers', [
  {
    says: 'file to directory to file, link to directory and back, in one step and in several (trap 14)',
    dockerfile: `FROM busybox
RUN mkdir /d /t && echo f > /f && echo in > /d/in && ln -s /t /l && ln -s t /m
RUN rm /f && mkdir /f && echo in > /f/in && rm -r /d && echo now-a-file > /d && rm /l && mkdir /l && echo x > /l/x
RUN rm -r /f && echo again > /f && rm /d && mkdir /d && rm -r /l && ln -s /t /l && rm /m && mkdir /m
`,
    expected: {
      files: {
        '/f': 'file 644 0:0 "again\\n"',
        '/d': 'directory 755 0:0',
        '/d/in': null,
        '/l': 'symlink 0:0 -> /t',
        '/m': 'directory 755 0:0',
      },
    },
  },
  {
    says: 'a directory removed and made again hides what was in it, by one whiteout for each',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /d/sub && touch /d/a /d/b /d/sub/c\nRUN rm -r /d && mkdir /d && touch /d/b\n',
    expected: {
      files: { '/d/a': null, '/d/sub': null, '/d/b': 'file 644 0:0 ""' },
      lastLayer: ['d', 'd/.wh.a', 'd/.wh.sub', 'd/b'],
    },
  },
  {
    says: 'removing and making in one step leaves no trace',
    dockerfile: 'FROM busybox\nRUN touch /gone && rm /gone && mkdir -p /a/b && rm -r /a && echo x > /kept\n',
    expected: { files: { '/gone': null, '/a': null, '/kept': 'file 644 0:0 "x\\n"' } },
  },
  {
    says: 'whiteouts of a stage hold in what starts from it, and COPY does not see what is gone',
    dockerfile: `FROM busybox AS a
RUN mkdir -p /d && touch /d/x /d/y
RUN rm /d/x
FROM a
COPY --from=a /d /e
RUN rm -rf /d
COPY f /d/z
`,
    context: { f: 'f' },
    expected: { files: { '/e/x': null, '/e/y': 'file 644 0:0 ""', '/d/y': null, '/d/z': 'file 644 0:0 "f"' } },
  },
  {
    says: 'hard links made in a step, to files of lower layers, and after changes (trap 15)',
    dockerfile: `FROM busybox
RUN echo one > /a && ln /a /b && mkdir /d && ln /a /d/c
RUN ln /etc/passwd /p && echo more >> /p
RUN echo two >> /a
RUN rm /d/c && ln /b /d/e
`,
    deviations: ['links-across-steps'],
    expected: {
      files: { '/a': 'file 644 0:0 "one\\ntwo\\n"', '/b': 'file 644 0:0 "one\\n"' },
      // A further name of a file below is a file of its own: BuildKit leaves the unchanged name out of the layer.
      hardLinks: [['/p', '/etc/passwd']],
    },
  },
  {
    says: 'hard links through COPY --from (trap 15)',
    dockerfile:
      'FROM busybox AS a\nRUN mkdir -p /x/s && echo 1 > /x/a && ln /x/a /x/s/b && ln -s a /x/l\nFROM scratch\nCOPY --from=a /x /y\n',
    expected: { hardLinks: [['/y/a', '/y/s/b']] },
  },
  {
    says: 'renamed directories and files, moved across layers',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /d/sub && echo 1 > /d/sub/f\nRUN mv /d /e && mv /e/sub/f /e/g && mv /etc/group /etc/groups\nRUN mv /e /d\n',
    expected: { files: { '/e': null, '/d/g': 'file 644 0:0 "1\\n"', '/etc/group': null } },
  },
  {
    says: 'only modes, owners and times change',
    dockerfile:
      'FROM busybox\nCOPY d /d\nRUN chmod 600 /d/a && chown 5:6 /d/b && touch -d @1234567890 /d/c && chmod 700 /d\n',
    context: { 'd/a': 'a', 'd/b': 'b', 'd/c': 'c' },
    expected: { files: { '/d/a': 'file 600 0:0 "a"', '/d/b': 'file 644 5:6 "b"' }, mtimes: { '/d/c': 1234567890 } },
  },
  {
    says: 'a chain of many small layers (trap 39)',
    dockerfile: `FROM scratch\n${Array.from({ length: 140 }, (_, at) => `COPY f /d/${at}`).join('\n')}\n`,
    context: { f: 'f' },
    expected: { layers: 140, files: { '/d/0': 'file 644 0:0 "f"', '/d/139': 'file 644 0:0 "f"' } },
    alone: 'buildah needs half a minute for it',
  },
  {
    says: 'a step on top of many layers (trap 39)',
    dockerfile: `FROM busybox\n${Array.from({ length: 130 }, (_, at) => `COPY f /d/${at}`).join('\n')}\nRUN rm /d/0 && ls /d | wc -l > /out\n`,
    context: { f: 'f' },
    expected: { files: { '/d/0': null, '/out': 'file 644 0:0 "129\\n"' } },
    alone: 'buildah needs half a minute for it',
  },
  {
    says: 'capabilities set in a step, and lost by writing (trap 16)',
    dockerfile: 'FROM busybox\nCOPY tool /a\nRUN cp /a /b && chown 5 /a\n',
    prepare: 'cp /bin/true tool; setcap cap_net_bind_service+ep tool',
  },
  {
    says: 'names that need PAX records: long paths, links, large ids',
    dockerfile: `FROM busybox
RUN p=/$(printf 'x%.0s' $(seq 120))/$(printf 'y%.0s' $(seq 120)); mkdir -p $p; echo f > $p/f; ln -s $p/f /l; ln $p/f $p/h; chown 3000000:4000000 $p/f
`,
  },
  {
    says: 'COPY --link layers stack in order',
    dockerfile: 'FROM busybox\nCOPY a /x/f\nCOPY --link b /x/f\nCOPY --link d /x/\nRUN cat /x/f > /out\n',
    context: { a: 'a', b: 'b', 'd/g': 'g' },
    alone: 'buildah 1.28 does not know the flag',
    expected: { files: { '/x/f': 'file 644 0:0 "b"', '/x/g': 'file 644 0:0 "g"', '/out': 'file 644 0:0 "b"' } },
  },
]);
