import { describe, expect, it } from 'vitest';
import { IgnoreMatcher } from '../../src/core/glob.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { CopyAction, FileOp, Source } from '../../src/core/graph.ts';
import { complete, errorOf, fileOps, historyOf, stepNames, warningsOf, type Complete } from './support/lowering.ts';

const actionOf = (line: string, before = ''): Partial<CopyAction> | undefined => {
  const action = fileOps(complete(`FROM scratch\n${before}${line}`)).at(-1)?.actions[0];
  return action?.type === 'copy' ? action : undefined;
};
const sourcesOf = (result: Complete): readonly Source[] =>
  [...result.graph.values()].flatMap(({ op }) => (op.kind === 'source' ? [op.source] : []));

const sourceOf = (source: string): unknown => actionOf(`COPY --parents ${source} /x/`);

const layer = (flag: string): FileOp | undefined => fileOps(complete(`FROM x\nCOPY --link --chown=${flag} a /b`))[0];

describe('copy: paths', () => {
  it.each([
    ['a', '/a'],
    ['./a/', '/a'],
    ['../../a', '/a'],
    ['/a/../b', '/b'],
    ['.', '/'],
    ['dir/.', '/dir'],
    ['*.txt', '/*.txt'],
    ['a?/[b-d]*', '/a?/[b-d]*'],
    ['$v', '/1'],
  ])('copy: the source %s is %s', (source, path) => {
    expect(actionOf(`COPY ${source} /x`, 'ENV v=1\n')?.sources).toEqual([path]);
  });

  it.each([
    ['/x', '/x'],
    ['/x/', '/x/'],
    ['x', '/w/x'],
    ['x/', '/w/x/'],
    ['.', '/w/'],
    ['./', '/w/'],
    ['/x/.', '/x/'],
    ['..', '/'],
    ['/', '/'],
    ['/$v/', '/1/'],
  ])('copy: the destination %s is %s', (dest, path) => {
    expect(actionOf(`COPY a ${dest}`, 'WORKDIR /w\nENV v=1\n')?.dest).toBe(path);
  });

  it('copy: all sources are one layer and one action', () => {
    const [op] = fileOps(complete('FROM scratch\nCOPY a b c /x/'));
    expect(op?.actions).toMatchObject([{ sources: ['/a', '/b', '/c'], dest: '/x/' }]);
  });

  it('copy: JSON elements are expanded as well', () => {
    expect(actionOf('COPY ["a b", "$v c", "/x y/"]', 'ENV v=1\n')).toMatchObject({
      sources: ['/a b', '/1 c'],
      dest: '/x y/',
    });
  });

  it('copy: an unbalanced quote and a broken pattern are refused', () => {
    expect(errorOf('FROM scratch\nCOPY "a b" c')).toMatch('matching double-quote');
    expect(errorOf('FROM scratch\nCOPY a[ c')).toMatch('is no valid pattern');
    expect(errorOf('FROM scratch\nCOPY --exclude=[ a c')).toMatch('invalid --exclude');
  });

  it('copy: --parents keeps the pivot', () => {
    expect(sourceOf('a/b/')).toMatchObject({ sources: ['/a/b'], parents: 'keep' });
    expect(sourceOf('./a/./b/../c/**/d')).toMatchObject({ sources: ['/a/./c/**/d'] });
    expect(sourceOf('././a')).toMatchObject({ sources: ['/./a'] });
  });
});

describe('copy: flags', () => {
  it('copy: owner and mode are expanded, --exclude is not', () => {
    expect(actionOf('COPY --chown=$u:g --chmod=$m --exclude=$u --exclude=!b a b', 'ENV u=me m=0755\n')).toMatchObject({
      owner: { user: 'me', group: 'g' },
      mode: 0o755,
      exclude: ['$u', '!b'],
    });
    expect(actionOf('COPY --chown=1 --chmod=u=rwX,go=rX a b')).toMatchObject({
      owner: { user: '1' },
      mode: 'u=rwX,go=rX',
    });
  });

  it.each([
    ['--chmod=8', 'between 0 and 07777'],
    ['--chmod=17777', 'between 0 and 07777'],
    ['--chmod=rwx', "invalid chmod parameter: 'rwx'"],
    ['--chmod=u=q', "invalid chmod parameter: 'u=q'"],
  ])('copy: %s is refused', (flag, message) => {
    expect(errorOf(`FROM scratch\nCOPY ${flag} a b`)).toMatch(message);
  });

  it('copy: --link makes a layer on nothing and merges it', () => {
    const result = complete('FROM x\nCOPY --link a /b');
    const ops = [...result.graph.values()];
    expect(ops.map(({ op }) => op.kind)).toEqual(['source', 'source', 'file', 'merge']);
    expect(ops[2]).toMatchObject({ op: { base: 'scratch' }, inputs: [ops[1]?.id] });
    expect(ops[3]?.inputs).toEqual([ops[0]?.id, ops[2]?.id]);
    expect(stepNames(result).slice(2)).toEqual(['[2/2] COPY --link a /b', '[2/2] LINK COPY --link a /b']);
    expect(result.bases).toHaveLength(1);
  });

  it('copy: --link needs the base for names only', () => {
    expect(layer('me')?.users).toBe(1);
    expect(layer('1:grp')?.users).toBe(1);
    expect(layer('1:2')).not.toHaveProperty('users');
    expect(layer('root:root')).not.toHaveProperty('users');
  });

  it('copy: --chown=root is 0:0 whatever the image holds', () => {
    expect(actionOf('COPY --chown=root a /b')?.owner).toEqual({ user: '0' });
    expect(actionOf('COPY --chown=app:root a /b')?.owner).toEqual({ user: 'app', group: '0' });
  });

  it('copy: --link is without effect beside --chmod, and on nothing', () => {
    expect(fileOps(complete('FROM x\nCOPY --link --chmod=600 a /b'))[0]?.base).toBe('input');
    expect([...complete('FROM scratch\nCOPY --link a /b').graph.values()].map(({ op }) => op.kind)).toEqual([
      'source',
      'file',
    ]);
  });

  it('copy: history tells flags that change files, sources and destination', () => {
    expect(
      historyOf(
        complete(
          'FROM scratch\nENV v=1\nCOPY --chown=$v:2 --chmod=644 --link --exclude=c a ./$v b/\nCOPY --parents a /',
        ),
      ),
    ).toEqual(['ENV v=1', 'COPY --chown=1:2 --chmod=644 a ./1 b/ # buildkit', 'COPY --parents a / # buildkit']);
  });
});

describe('copy: ADD', () => {
  it('copy: ADD unpacks local archives unless told otherwise', () => {
    expect(actionOf('ADD a b')).toMatchObject({ unpack: 'auto' });
    expect(actionOf('ADD --unpack=false a b')).toMatchObject({ unpack: 'never' });
    expect(actionOf('COPY a b')).toMatchObject({ unpack: 'never' });
  });

  it('copy: ADD downloads, and unpacks only if told', () => {
    const digest = digestOf('x');
    const result = complete(`FROM scratch\nENV d=${digest}\nADD --checksum=$d https://h/p/a%20b.tar?q=1#f /x/`);
    expect(sourcesOf(result)).toEqual([
      { type: 'http', url: 'https://h/p/a%20b.tar?q=1#f', filename: 'a b.tar', checksum: digest },
    ]);
    expect(fileOps(result)[0]?.actions).toMatchObject([{ sources: ['/a b.tar'], dest: '/x/', unpack: 'never' }]);
    expect(fileOps(complete('FROM scratch\nADD --unpack http://h/ /x/'))[0]?.actions).toMatchObject([
      { sources: ['/__unnamed__'], unpack: 'auto' },
    ]);
  });

  it('copy: names of downloads are no patterns and no paths', () => {
    expect(fileOps(complete('FROM scratch\nADD http://h/a*b /x'))[0]?.actions).toMatchObject([{ sources: ['/a\\*b'] }]);
    expect(sourcesOf(complete('FROM scratch\nADD http://h/%2e%2e%2f%2e%2e /x'))).toMatchObject([
      { filename: '__unnamed__' },
    ]);
  });

  it('copy: ADD clones', () => {
    const of = (line: string): unknown => sourcesOf(complete(`FROM scratch\n${line}`))[0];
    expect(of('ADD https://h/o/r.git /r')).toEqual({
      type: 'git',
      remote: 'https://h/o/r.git',
      submodules: 'recursive',
      gitDir: 'drop',
    });
    expect(of('ADD --keep-git-dir git@h:o/r.git#v1:a/b /r')).toEqual({
      type: 'git',
      remote: 'git@h:o/r.git',
      ref: 'v1',
      subdir: 'a/b',
      submodules: 'recursive',
      gitDir: 'keep',
    });
    expect(of('ADD https://h/r.git?branch=b&subdir=s&submodules=false&checksum=abc1234 /r')).toEqual({
      type: 'git',
      remote: 'https://h/r.git',
      ref: 'refs/heads/b',
      subdir: 's',
      checksum: 'abc1234',
      submodules: 'none',
      gitDir: 'drop',
    });
    expect(of('ADD --checksum=abc https://h/r.git#main /r')).toMatchObject({ ref: 'main', checksum: 'abc' });
    expect(sourcesOf(complete('FROM scratch\nADD github.com/o/r /r'))).toEqual([{ type: 'local', name: 'context' }]);
  });

  it.each([
    ['COPY https://h/a /b', "source can't be a URL for COPY"],
    ['COPY git@h:o/r.git /b', "source can't be a git ref for COPY"],
    ['ADD --checksum=sha256:00 a b', 'checksum requires HTTP(S) or Git sources'],
    ['ADD --checksum=x a b c/', "checksum can't be specified for multiple sources"],
    ['ADD --checksum=md5:1 https://h/a b', 'invalid checksum "md5:1"'],
    ['ADD --keep-git-dir=false https://h/r.git?keep-git-dir=true b', 'inconsistent keep-git-dir configuration'],
    ['ADD --checksum=abc1234 https://h/r.git?checksum=def1234 b', 'checksum mismatch "abc1234" != "def1234"'],
    ['ADD https://h/r.git#-x b', 'a ref must not begin with a dash'],
    ['ADD https://h/r.git#a:../b c', 'the folder "../b" leaves the repository'],
    [
      'ADD https://h/r.git?x=1 b',
      'unexpected query "x"; choose from: ref, tag, branch, subdir, checksum, commit, submodules, keep-git-dir, mtime, fetch-by-commit',
    ],
    ['ADD https://h/r.git?ref=a&ref=b c', 'query "ref" has multiple values'],
    ['ADD https://h/r.git?tag=a#b c', 'ref conflicts: "b" vs "refs/tags/a"'],
  ])('copy: %s is refused', (line, message) => {
    expect(errorOf(`FROM scratch\n${line}`)).toBe(message);
  });

  it('copy: sources of several kinds stay in order in one layer', () => {
    const [op] = fileOps(complete('FROM scratch\nADD a https://h/b c /x/'));
    expect(op?.actions.map((action) => action.type === 'copy' && [action.from, action.sources])).toEqual([
      [0, ['/a']],
      [1, ['/b']],
      [0, ['/c']],
    ]);
  });
});

describe('copy: ignored files', () => {
  it('copy: a literal source that the ignore file excludes is reported', () => {
    const ignore = IgnoreMatcher.parse('secret\n*.log\n');
    expect(
      warningsOf('FROM scratch\nCOPY secret/a b.log . /x/\nADD c /y\nCOPY --from=x secret /z', { ignore }),
    ).toEqual([
      'CopyIgnoredFile: Attempting to Copy file "secret/a" that is excluded by .dockerignore',
      'CopyIgnoredFile: Attempting to Copy file "b.log" that is excluded by .dockerignore',
    ]);
    expect(warningsOf('FROM scratch\nCOPY a /x', { ignore: IgnoreMatcher.parse('a\n!a/b') })).toEqual([]);
  });
});
