import { describeDifferences } from './differential-case.ts';

const NO_SUCH_FLAG = 'buildah 1.28 does not know the flag';

describeDifferences('flags of COPY', [
  {
    says: '--chown: numbers, names, groups; a number alone is its own group (trap 11)',
    dockerfile: `FROM busybox
COPY --chown=5 f /n
COPY --chown=5:6 f /nn
COPY --chown=app f /u
COPY --chown=app:www f /ug
COPY --chown=1000 f /known
COPY --chown=5:www d /mixed/new/
COPY --chown=:www f /g
COPY --chown=app: f /colon
`,
    context: { f: 'f', 'd/sub/g': 'g' },
    expected: {
      files: {
        '/n': 'file 644 5:5 "f"',
        '/nn': 'file 644 5:6 "f"',
        '/u': 'file 644 1000:1001 "f"',
        '/ug': 'file 644 1000:33 "f"',
        '/known': 'file 644 1000:1000 "f"',
        '/mixed': 'directory 755 5:33',
        '/mixed/new/sub/g': 'file 644 5:33 "g"',
        '/g': 'file 644 0:33 "f"',
        '/colon': 'file 644 1000:1001 "f"',
      },
    },
  },
  {
    says: '--chown: an unknown name is refused',
    dockerfile: 'FROM busybox\nCOPY --chown=ghost f /x\n',
    context: { f: 'f' },
    fails: /ghost/,
  },
  {
    says: '--chown: names are those of the stage, as changed by it',
    dockerfile:
      'FROM busybox\nRUN echo new:x:4000:4000::/:/bin/sh >> /etc/passwd\nCOPY --chown=new f /x\nCOPY --chown=new --from=busybox /etc/passwd /y\n',
    context: { f: 'f' },
    expected: { files: { '/x': 'file 644 4000:4000 "f"' } },
  },
  {
    says: '--chmod: octal, files and directories, not links',
    dockerfile: 'FROM busybox\nCOPY --chmod=755 d /x\nCOPY --chmod=0600 f /y\nCOPY --chmod=4711 f /z\n',
    context: {
      f: 'f',
      'd/g': { content: 'g', mode: 0o600 },
      'd/sub': { type: 'directory', mode: 0o700 },
      'd/l': { target: 'g' },
    },
    expected: {
      files: {
        '/x/g': 'file 755 0:0 "g"',
        '/x/sub': 'directory 755 0:0',
        '/x/l': 'symlink 0:0 -> g',
        '/y': 'file 600 0:0 "f"',
        '/z': 'file 4711 0:0 "f"',
      },
    },
  },
  {
    says: '--chmod: an octal one is also that of new parents (trap 7)',
    dockerfile: 'FROM busybox\nCOPY --chmod=640 f /new/dir/f\nCOPY --chmod=u=rw f /symbolic/dir/f\n',
    context: { f: 'f' },
    alone: 'parents are 755 in buildah, and it knows no symbolic modes',
    expected: {
      files: {
        '/new': 'directory 640 0:0',
        '/new/dir': 'directory 640 0:0',
        '/new/dir/f': 'file 640 0:0 "f"',
        '/symbolic/dir': 'directory 755 0:0',
      },
    },
  },
  {
    says: '--chmod: symbolic',
    dockerfile:
      'FROM busybox\nCOPY --chmod=u=rwX,go=rX d /a\nCOPY --chmod=a+x f /b\nCOPY --chmod=go-r,u+s f /c\nCOPY --chmod=g=u f /d\n',
    context: {
      f: { content: 'f', mode: 0o644 },
      'd/x': { content: 'x', mode: 0o700 },
      'd/n': { content: 'n', mode: 0o600 },
      'd/s': { type: 'directory', mode: 0o700 },
    },
    alone: 'buildah 1.28 knows no symbolic modes',
    expected: {
      files: {
        '/a/x': 'file 755 0:0 "x"',
        '/a/n': 'file 644 0:0 "n"',
        '/a/s': 'directory 755 0:0',
        '/b': 'file 755 0:0 "f"',
        '/c': 'file 4600 0:0 "f"',
        '/d': 'file 664 0:0 "f"',
      },
    },
  },
  {
    says: '--chmod: nonsense is refused',
    dockerfile: 'FROM busybox\nCOPY --chmod=9x f /x\n',
    context: { f: 'f' },
    fails: /9x/,
  },
  {
    says: '--link: a layer of its own, parents overriding, links of the image not followed',
    dockerfile:
      'FROM busybox\nRUN ln -s /real /l && mkdir /real && chmod 700 /home\nCOPY --link f /l/f\nCOPY --link --chown=app f /home/f\nCOPY --link f /tmp/f\n',
    context: { f: 'f' },
    alone: NO_SUCH_FLAG,
    expected: {
      files: {
        '/l': 'directory 755 0:0',
        '/l/f': 'file 644 0:0 "f"',
        '/real/f': null,
        '/home': 'directory 755 1000:1001',
        '/home/f': 'file 644 1000:1001 "f"',
        '/tmp': 'directory 755 0:0',
      },
      lastLayer: ['tmp', 'tmp/f'],
    },
  },
  {
    says: '--link: is not one beside --chmod',
    dockerfile: 'FROM busybox\nRUN ln -s /real /l && mkdir /real\nCOPY --link --chmod=600 f /l/f\n',
    context: { f: 'f' },
    alone: NO_SUCH_FLAG,
    expected: { files: { '/l': 'symlink 0:0 -> /real', '/real/f': 'file 600 0:0 "f"' } },
  },
  {
    says: '--link=false and --link=true',
    dockerfile: 'FROM busybox\nRUN ln -s /real /l && mkdir /real\nCOPY --link=false f /l/f\nCOPY --link=true f /m/f\n',
    context: { f: 'f' },
    alone: NO_SUCH_FLAG,
    expected: { files: { '/l': 'symlink 0:0 -> /real', '/real/f': 'file 644 0:0 "f"', '/m/f': 'file 644 0:0 "f"' } },
  },
  {
    says: '--parents: paths are kept, the pivot cuts them, ** matches any depth',
    dockerfile: `FROM scratch
COPY --parents a/b/c.txt /one/
COPY --parents a/./b/c.txt /two/
COPY --parents ./a/**/*.txt /three/
COPY --parents a/b x/y /four/
COPY --parents a/*/c.txt x/./*/z /five/
COPY --parents no/such/*.txt a/top.txt /six/
`,
    context: {
      'a/b/c.txt': 'c',
      'a/b/d.md': 'd',
      'a/top.txt': 't',
      'x/y/z': 'z',
      'a/b': { type: 'directory', mode: 0o750 },
    },
    alone: NO_SUCH_FLAG,
    expected: {
      files: {
        '/one/a/b/c.txt': 'file 644 0:0 "c"',
        '/one/a/b': 'directory 750 0:0',
        '/one/a/b/d.md': null,
        '/two/b/c.txt': 'file 644 0:0 "c"',
        '/two/a': null,
        '/three/a/b/c.txt': 'file 644 0:0 "c"',
        '/three/a/top.txt': 'file 644 0:0 "t"',
        '/three/x': null,
        '/four/a/b/d.md': 'file 644 0:0 "d"',
        '/four/x/y/z': 'file 644 0:0 "z"',
        '/five/a/b/c.txt': 'file 644 0:0 "c"',
        '/five/y/z': 'file 644 0:0 "z"',
        '/six/a/top.txt': 'file 644 0:0 "t"',
        '/six/no': null,
      },
    },
  },
  {
    says: '--parents: a missing literal path is refused',
    dockerfile: 'FROM scratch\nCOPY --parents a/missing /x/\n',
    context: { 'a/b': 'b' },
    alone: NO_SUCH_FLAG,
    fails: /missing/,
  },
  {
    says: '--parents: from a stage, owners kept',
    dockerfile:
      'FROM busybox AS s\nRUN mkdir -p /p/q && touch /p/q/f && chown 5:6 /p /p/q/f\nFROM scratch\nCOPY --from=s --parents /p/q /out/\n',
    alone: NO_SUCH_FLAG,
    expected: {
      files: { '/out/p': 'directory 755 5:6', '/out/p/q': 'directory 755 0:0', '/out/p/q/f': 'file 644 5:6 ""' },
    },
  },
  {
    says: '--exclude: patterns relative to each root, with exceptions, several',
    dockerfile: `FROM scratch
COPY --exclude=*.md . /top/
COPY --exclude=**/*.md . /deep/
COPY --exclude=d --exclude=*.txt . /two/
COPY --exclude=d/* --exclude=!d/keep.txt d* /roots/
COPY --exclude=**/* --exclude=!d/keep.txt . /kept/
COPY --exclude=Dockerfile --exclude=d/sub . /sub/
`,
    context: { 'a.md': 'a', 'b.txt': 'b', 'd/c.md': 'c', 'd/keep.txt': 'k', 'd/sub/e.md': 'e' },
    alone: NO_SUCH_FLAG,
    expected: {
      files: {
        '/top/a.md': null,
        '/top/d/c.md': 'file 644 0:0 "c"',
        '/deep/d/c.md': null,
        '/deep/d/sub': 'directory 755 0:0',
        '/deep/d/keep.txt': 'file 644 0:0 "k"',
        '/two/d': null,
        '/two/b.txt': null,
        '/two/a.md': 'file 644 0:0 "a"',
        '/roots/c.md': 'file 644 0:0 "c"',
        '/kept/d/keep.txt': 'file 644 0:0 "k"',
        '/kept/a.md': null,
        '/sub/d/sub': null,
        '/sub/d/c.md': 'file 644 0:0 "c"',
      },
    },
  },
  {
    says: '--exclude: a file that is named or matched itself is left out',
    dockerfile: 'FROM scratch\nCOPY --exclude=hom* hom* other /x/\n',
    context: { home: '1', homage: '2', other: '3' },
    alone: NO_SUCH_FLAG,
    expected: { files: { '/x/home': null, '/x/homage': null, '/x/other': 'file 644 0:0 "3"' } },
  },
  {
    says: '--exclude: is not expanded',
    dockerfile: 'FROM scratch\nARG p=a\nCOPY --exclude=$p d /x/\n',
    context: { 'd/a': 'a', 'd/b': 'b' },
    alone: NO_SUCH_FLAG,
    expected: { files: { '/x/a': 'file 644 0:0 "a"', '/x/b': 'file 644 0:0 "b"' } },
  },
]);
