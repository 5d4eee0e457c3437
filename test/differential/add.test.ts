import { describeDifferences } from './differential-case.ts';

const MAKE_TREE =
  'mkdir -p t/dir/sub && echo a > t/a && echo b > t/dir/b && chmod 600 t/a && chmod 711 t/dir && ln -s a t/link && ln t/a t/hard && chown -R 3:4 t';
const NO_SUCH_FLAG = 'buildah 1.28 does not know the flag';

describeDifferences('ADD', [
  ...(
    [
      ['plain', 'tar -cf a.tar -C t .'],
      ['gzip', 'tar -czf a.tar -C t a dir link hard'],
      ['bzip2', 'tar -cjf a.tar -C t a dir link hard'],
      ['xz', 'tar -cJf a.tar -C t a dir link hard'],
    ] as const
  ).map(([name, command]) => ({
    says: `a ${name} archive is unpacked, whatever its name`,
    dockerfile: 'FROM busybox\nRUN mkdir -m 700 /there && chown 8:9 /there\nADD a.tar /new\nADD a.tar /there/\n',
    prepare: `${MAKE_TREE}; chmod 750 t; ${command}; mv a.tar b; cp b a.tar; rm -r t`,
    expected: {
      files: {
        '/new': 'directory 755 0:0',
        '/new/a': 'file 600 3:4 "a\\n"',
        '/new/dir': 'directory 711 3:4',
        '/new/link': 'symlink 3:4 -> a',
        '/there': 'directory 700 8:9',
        '/there/dir/b': 'file 644 3:4 "b\\n"',
      },
      hardLinks: [['/new/a', '/new/hard']],
    },
    ...(name === 'plain' && { deviations: ['archive-root'] as const }),
  })),
  {
    says: 'a zstd archive is unpacked',
    dockerfile: 'FROM scratch\nADD a.tar.zst /x\n',
    prepare: `${MAKE_TREE}; tar -cf - -C t a dir | zstd -q > a.tar.zst`,
    alone: 'buildah is no witness for zstd on every machine',
    expected: { files: { '/x/a': 'file 600 3:4 "a\\n"', '/x/dir/b': 'file 644 3:4 "b\\n"' } },
  },
  {
    says: 'what is named as an archive and is none is copied, and so is a compressed file (trap 28)',
    dockerfile: 'FROM busybox\nADD fake.tar.gz /x/\nADD text.gz /x/\nADD empty.tar /x/\nADD plain /y\n',
    prepare: 'echo no archive > fake.tar.gz; echo text | gzip -n > text.gz; : > empty.tar; echo p > plain',
    expected: {
      files: {
        '/x/fake.tar.gz': 'file 644 0:0 "no archive\\n"',
        '/x/empty.tar': 'file 644 0:0 ""',
        '/y': 'file 644 0:0 "p\\n"',
      },
    },
  },
  {
    says: 'archives merge as tar does: parents implied, through absolute links, files replaced (trap 29)',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /real /x/dir && ln -s /real /abs && echo old > /x/a && touch /x/dir/kept\nADD implied.tar /new/\nADD a.tar /abs/\nADD a.tar /x/\n',
    prepare: `${MAKE_TREE}; tar -cf implied.tar -C t dir/b dir/sub; tar -cf a.tar -C t a dir`,
    expected: {
      files: {
        '/new/dir/b': 'file 644 3:4 "b\\n"',
        '/real/a': 'file 600 3:4 "a\\n"',
        '/abs': 'symlink 0:0 -> /real',
        '/x/a': 'file 600 3:4 "a\\n"',
        '/x/dir/kept': 'file 644 0:0 ""',
        '/x/dir': 'directory 711 3:4',
      },
    },
  },
  {
    says: 'an archive that leaves the destination is refused',
    dockerfile: 'FROM busybox\nADD evil.tar /x/\n',
    prepare: 'mkdir d; echo evil > d/f; tar -cPf evil.tar --transform=s,d/f,../../evil, d/f',
    fails: /evil/,
    alone: 'only the refusal matters',
  },
  {
    deviations: ['archive-owner'],
    says: '--chown and --chmod with an archive, several archives, wildcards',
    dockerfile: 'FROM busybox\nADD --chown=app a.tar /x\nADD *.tar /y/\n',
    prepare: `${MAKE_TREE}; tar -cf a.tar -C t a; tar -cf b.tar -C t dir`,
    expected: {
      files: { '/x/a': 'file 600 1000:1001 "a\\n"', '/y/a': 'file 600 3:4 "a\\n"', '/y/dir/b': 'file 644 3:4 "b\\n"' },
    },
  },
  {
    says: '--unpack=false copies the archive',
    dockerfile: 'FROM scratch\nADD --unpack=false a.tar /x/\nADD --unpack a.tar /y/\n',
    prepare: `${MAKE_TREE}; tar -cf a.tar -C t a; touch -d @1700000000 a.tar`,
    alone: NO_SUCH_FLAG,
    expected: {
      files: { '/x/a': null, '/y/a': 'file 600 3:4 "a\\n"', '/y/a.tar': null },
      mtimes: { '/x/a.tar': 1700000000 },
    },
  },
  {
    says: 'directories and files as COPY has them',
    dockerfile: 'FROM busybox\nADD d /x\nADD d/f d/sub /y/\nADD --chown=5:6 --chmod=711 d/f /z\nADD d* /w/\n',
    context: { 'd/f': 'f', 'd/sub/g': 'g' },
    expected: { files: { '/x/sub/g': 'file 644 0:0 "g"', '/y/g': 'file 644 0:0 "g"', '/z': 'file 711 5:6 "f"' } },
  },
  {
    says: '--link and --exclude',
    dockerfile: 'FROM busybox\nRUN mkdir /real && ln -s /real /l\nADD --link d /l/\nADD --exclude=*.md d /x/\n',
    context: { 'd/f': 'f', 'd/g.md': 'g' },
    alone: NO_SUCH_FLAG,
    expected: {
      files: {
        '/l': 'directory 755 0:0',
        '/l/f': 'file 644 0:0 "f"',
        '/real/f': null,
        '/x/f': 'file 644 0:0 "f"',
        '/x/g.md': null,
      },
    },
  },
  {
    says: 'a URL: mode 600, time of Last-Modified, its name in a directory',
    dockerfile:
      'FROM scratch\nADD {URL}/dir/file.txt /named\nADD {URL}/dir/file.txt?x=y /into/\nADD --chmod=644 --chown=5:6 {URL}/dir/file.txt /owned\nADD {URL}/a.tar /tars/\n',
    served: { 'dir/file.txt': 'served\n', 'a.tar': 'not really\n' },
    expected: {
      files: {
        '/named': 'file 600 0:0 "served\\n"',
        '/into/file.txt': 'file 600 0:0 "served\\n"',
        '/owned': 'file 644 5:6 "served\\n"',
        '/tars/a.tar': 'file 600 0:0 "not really\\n"',
      },
      mtimes: { '/named': 1704164645 },
    },
  },
  {
    says: 'a URL: --checksum that agrees, and that does not',
    dockerfile:
      'FROM scratch\nADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 {URL}/f /f\n',
    served: { f: 'x' },
    alone: NO_SUCH_FLAG,
    fails: /sha256:/,
  },
  {
    says: 'a URL: --checksum from an ARG',
    dockerfile:
      'FROM scratch\nARG SUM=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\nADD --checksum=sha256:$SUM {URL}/f /f\n',
    served: { f: 'x' },
    alone: NO_SUCH_FLAG,
    expected: { files: { '/f': 'file 600 0:0 "x"' } },
  },
  { says: 'a URL: what is not found is refused', dockerfile: 'FROM scratch\nADD {URL}/none /f\n', fails: /404/ },
  { says: 'COPY of a URL is refused', dockerfile: 'FROM scratch\nCOPY http://127.0.0.1/x /f\n', fails: /URL/ },
  {
    says: '--keep-git-dir is for git, --checksum for one remote source',
    dockerfile: 'FROM scratch\nADD --checksum=sha256:00 f /f\n',
    context: { f: 'f' },
    alone: NO_SUCH_FLAG,
    fails: /checksum/,
  },
]);
