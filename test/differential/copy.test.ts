import { describeDifferences } from './differential-case.ts';

describeDifferences('COPY', [
  {
    says: 'a directory source is its contents, a file source the file (trap 4)',
    dockerfile:
      'FROM busybox\nCOPY d /new\nCOPY d /new2/\nCOPY d/f /g\nCOPY d/f /dir/\nCOPY d/. /dot\nCOPY ./d/ /slash\n',
    context: { 'd/f': 'f', 'd/.hidden': 'h', 'd/sub/g': 'g', 'd/empty': { type: 'directory', mode: 0o700 } },
    expected: {
      files: {
        '/new': 'directory 755 0:0',
        '/new/sub/g': 'file 644 0:0 "g"',
        '/new/.hidden': 'file 644 0:0 "h"',
        '/new/empty': 'directory 700 0:0',
        '/g': 'file 644 0:0 "f"',
        '/dir/f': 'file 644 0:0 "f"',
        '/new/d': null,
      },
    },
  },
  {
    says: 'a directory source with a mode of its own: a new destination does not take it',
    dockerfile: 'FROM busybox\nCOPY d /new\nCOPY d /slash/\nCOPY --chown=5 d /owned\n',
    prepare: 'mkdir d; touch d/f; chmod 2700 d',
    expected: { files: { '/new': 'directory 755 0:0', '/slash': 'directory 755 0:0', '/owned': 'directory 755 5:5' } },
  },
  {
    says: 'trailing slashes: into a directory, to a name, to . and to WORKDIR (trap 5)',
    dockerfile:
      'FROM busybox\nWORKDIR /w\nCOPY f .\nCOPY f ./\nCOPY f x\nCOPY f y/\nCOPY f /etc\nCOPY d z\nCOPY f d ../both/\n',
    context: { f: 'f', 'd/g': 'g' },
  },
  {
    says: 'existing directories: the top one stays, nested ones take the mode of the source (trap 6)',
    dockerfile:
      'FROM busybox\nRUN mkdir -p /x/sub/deep && touch /x/old /x/sub/old && chmod 700 /x /x/sub && chown -R 5:6 /x\nCOPY d /x\n',
    context: { 'd/sub/f': 'f', 'd/sub': { type: 'directory', mode: 0o751 }, d: { type: 'directory', mode: 0o750 } },
    expected: {
      files: {
        '/x': 'directory 700 5:6',
        '/x/sub': 'directory 751 0:0',
        '/x/sub/deep': 'directory 755 5:6',
        '/x/sub/old': 'file 644 5:6 ""',
        '/x/sub/f': 'file 644 0:0 "f"',
      },
    },
  },
  {
    says: 'a file replaces a file and a link; its other names keep their content',
    dockerfile:
      'FROM busybox\nRUN echo old > /a && ln /a /b && echo target > /t && ln -s /t /l\nCOPY f /a\nCOPY f /l\n',
    context: { f: 'new' },
    expected: { files: { '/a': 'file 644 0:0 "new"', '/b': 'file 644 0:0 "old\\n"' } },
    deviations: ['link-as-destination'],
  },
  {
    says: 'a file over a directory is refused',
    dockerfile: 'FROM busybox\nRUN mkdir -p /x/f/g\nCOPY d /x\n',
    context: { 'd/f': 'file' },
    fails: /cannot replace the directory/,
    alone: 'buildah replaces it',
  },
  {
    says: 'a directory over a file is refused',
    dockerfile: 'FROM busybox\nRUN mkdir /x && touch /x/sub\nCOPY d /x\n',
    context: { 'd/sub/f': 'f' },
    fails: /not a directory/,
    alone: 'only the refusal matters',
  },
  {
    says: 'links: the named path is followed, inside the source; those below are copied (trap 8)',
    dockerfile: 'FROM busybox\nCOPY link /file\nCOPY dirlink /dir\nCOPY dirlink/f /f\nCOPY abs /abs\nCOPY d /d\n',
    context: {
      'd/f': 'f',
      'd/inner': { target: 'f' },
      'd/dangling': { target: '/nowhere' },
      'd/out': { target: '../../../etc' },
      link: { target: 'd/f' },
      dirlink: { target: 'd' },
      abs: { target: '/d/f' },
    },
    expected: {
      files: {
        '/file': 'file 644 0:0 "f"',
        '/dir/f': 'file 644 0:0 "f"',
        '/abs': 'file 644 0:0 "f"',
        '/d/inner': 'symlink 0:0 -> f',
        '/d/dangling': 'symlink 0:0 -> /nowhere',
        '/d/out': 'symlink 0:0 -> ../../../etc',
      },
    },
  },
  {
    says: 'links: a destination behind one lies inside the image (trap 9)',
    dockerfile:
      'FROM busybox\nRUN mkdir /real && ln -s /real /abs && ln -s real /rel && ln -s ../../../../real /up && ln -s /not/yet /future\nCOPY f /abs/a\nCOPY f /rel/b\nCOPY f /up/c\nCOPY f /abs/new/d\nCOPY d /abs\nCOPY f /future/e\n',
    context: { f: 'f', 'd/g': 'g' },
    expected: {
      files: {
        '/real/a': 'file 644 0:0 "f"',
        '/real/b': 'file 644 0:0 "f"',
        '/real/c': 'file 644 0:0 "f"',
        '/real/new/d': 'file 644 0:0 "f"',
        '/real/g': 'file 644 0:0 "g"',
        '/abs': 'symlink 0:0 -> /real',
        '/not/yet/e': 'file 644 0:0 "f"',
      },
    },
  },
  {
    says: 'wildcards: * ? [] and escapes, not across slashes, hidden files too',
    dockerfile: 'FROM busybox\nCOPY *.txt /a/\nCOPY ?.md /b/\nCOPY [x-z]* /c/\nCOPY d*/f* /d/\nCOPY *den /f/\n',
    context: {
      'a.txt': '1',
      'b.txt': '2',
      '.c.txt': '3',
      'sub/d.txt': '4',
      'x.md': 'x',
      'xy.md': 'y',
      z: 'z',
      'd1/f1': '1',
      'd2/f2': '2',
      'd2/g': '3',
      '[y]': 'bracket',
      '.hidden': 'h',
    },
    expected: {
      files: {
        '/a/.c.txt': 'file 644 0:0 "3"',
        '/a/d.txt': null,
        '/b/x.md': 'file 644 0:0 "x"',
        '/b/xy.md': null,
        '/d/f2': 'file 644 0:0 "2"',
      },
    },
  },
  {
    says: 'wildcards: a bracket in brackets stands for itself; an escape is one of words first',
    dockerfile: 'FROM busybox\nCOPY [[]y] /e/\nCOPY \\[y\\] /class/\n',
    context: { '[y]': 'bracket', y: 'y' },
    alone: 'buildah unescapes once too often',
    expected: { files: { '/e/[y]': 'file 644 0:0 "bracket"', '/e/y': null, '/class/y': 'file 644 0:0 "y"' } },
  },
  {
    says: 'wildcards: each directory that matches is its contents',
    dockerfile: 'FROM busybox\nCOPY d* /all/\n',
    context: { 'd1/a': 'a', 'd2/b': 'b', 'd2/sub/c': 'c', dfile: 'd' },
    expected: {
      files: {
        '/all/a': 'file 644 0:0 "a"',
        '/all/sub/c': 'file 644 0:0 "c"',
        '/all/dfile': 'file 644 0:0 "d"',
        '/all/d1': null,
      },
    },
  },
  {
    says: 'wildcards: without a match nothing happens; a missing literal is an error (trap 27)',
    dockerfile: 'FROM busybox\nCOPY no-such-* f /x/\nRUN ls /x > /out\n',
    context: { f: 'f' },
    alone: 'to buildah a wildcard without a match is an error',
    expected: { files: { '/out': 'file 644 0:0 "f\\n"' } },
  },
  { says: 'a missing literal is an error', dockerfile: 'FROM busybox\nCOPY missing /x\n', fails: /missing/ },
  {
    says: '.. and absolute sources stay in the context',
    dockerfile: 'FROM busybox\nCOPY ../../f /a\nCOPY /f /b\nCOPY d/../f /c\nCOPY . /all/\n',
    context: { f: 'f', 'd/g': 'g' },
    alone: 'buildah refuses to leave the context, where BuildKit cleans the path',
    expected: {
      files: {
        '/a': 'file 644 0:0 "f"',
        '/b': 'file 644 0:0 "f"',
        '/c': 'file 644 0:0 "f"',
        '/all/d/g': 'file 644 0:0 "g"',
      },
    },
  },
  {
    says: 'several sources are one layer and need a directory',
    dockerfile: 'FROM busybox\nCOPY a b d /x/\n',
    context: { a: 'a', b: 'b', 'd/c': 'c' },
    expected: { layers: 1, lastLayer: ['x', 'x/a', 'x/b', 'x/c'] },
  },
  {
    says: 'several sources to a file are refused',
    dockerfile: 'FROM busybox\nCOPY a b /x\n',
    context: { a: 'a', b: 'b' },
    fails: /directory as destination/,
    alone: 'buildah writes one over the other',
  },
  {
    says: 'JSON form: names with spaces; quotes are those of words once more',
    dockerfile: 'FROM busybox\nCOPY ["a b", "c\\\\\\"d", "/dir with/"]\nCOPY ["e", "/f g"]\n',
    context: { 'a b': '1', 'c"d': '2', e: '3' },
    expected: {
      files: { '/dir with/a b': 'file 644 0:0 "1"', '/dir with/c"d': 'file 644 0:0 "2"', '/f g': 'file 644 0:0 "3"' },
    },
  },
  {
    says: 'modes, times, fifos, setuid and sticky bits of the context (traps 12, 17)',
    dockerfile: 'FROM busybox\nCOPY d /x\nCOPY --chown=app d /y\n',
    prepare: `mkdir d; cd d; echo s > suid; chmod 6755 suid; echo p > private; chmod 600 private; chown 5:6 private
mkdir -m 1777 t; mkdir -m 2775 g; mkfifo -m 640 p; ln -s suid l; touch -d @1234567890 private t; chown -h 7:8 l`,
    expected: {
      files: {
        '/x/suid': 'file 6755 0:0 "s\\n"',
        '/x/private': 'file 600 0:0 "p\\n"',
        '/x/t': 'directory 1777 0:0',
        '/x/p': 'fifo 640 0:0',
        '/x/l': 'symlink 0:0 -> suid',
        '/y/suid': 'file 6755 1000:1001 "s\\n"',
        '/y/g': 'directory 2775 1000:1001',
        '/y/l': 'symlink 1000:1001 -> suid',
      },
      mtimes: { '/x/private': 1234567890, '/x/t': 1234567890, '/y/private': 1234567890 },
    },
    deviations: ['special-bits'],
  },
  {
    says: 'hard links of one source stay links (trap 15)',
    dockerfile: 'FROM busybox\nCOPY d /x\nCOPY d/a d/b /y/\n',
    prepare: 'mkdir d d/s; echo text > d/a; ln d/a d/b; ln d/a d/s/c; echo text > d/other',
    expected: { hardLinks: [['/x/a', '/x/b', '/x/s/c']], files: { '/x/other': 'file 644 0:0 "text\\n"' } },
  },
  {
    says: 'capabilities survive copies and export (trap 16)',
    dockerfile:
      'FROM busybox AS a\nCOPY ping /ping\nFROM busybox\nCOPY --from=a /ping /p\nRUN chmod 711 /p\nCOPY --chown=1 ping /q\n',
    prepare: 'cp /bin/true ping; chmod 755 ping; setcap cap_net_raw+ep ping',
  },
  {
    says: 'names: newlines, bytes that are no UTF-8, long ones (trap 37)',
    dockerfile: 'FROM busybox\nCOPY d /x\nRUN cp -r /x /y\n',
    prepare: `mkdir d; cd d; touch "$(printf 'new\\nline')" "$(printf 'byte\\377')" "back\\\\slash" ' space ' "$(printf '%0255d' 1)" 'ünï' '*' '[a]'
mkdir -p "$(printf '%0200d' 2)/$(printf '%0200d' 3)"; touch "$(printf '%0200d' 2)/$(printf '%0200d' 3)/f"; ln -s "$(printf '%0200d' 4)" long-link`,
  },
  {
    says: 'an empty directory, an empty context, an empty source',
    dockerfile:
      'FROM busybox\nCOPY empty /a\nCOPY empty/ /b/\nFROM busybox AS nothing\nFROM scratch\nCOPY --from=0 /a /a\nCOPY --from=0 /b /deep/er/\n',
    context: { empty: { type: 'directory' } },
    expected: { files: { '/a': 'directory 755 0:0', '/deep/er': 'directory 755 0:0', '/deep': 'directory 755 0:0' } },
  },
  {
    says: 'a large sparse file is its whole size (trap 38)',
    dockerfile: 'FROM scratch\nCOPY big /\n',
    prepare: 'truncate -s 3M big; printf x | dd of=big bs=1 seek=2000000 conv=notrunc 2>/dev/null',
  },
]);
