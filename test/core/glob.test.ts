import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globError, IgnoreMatcher, matchGlob } from '../../src/core/glob.ts';
import { FormatError } from '../../src/oci/format-error.ts';
import { mobyMatches } from './moby-patterns.ts';

describe('matchGlob', () => {
  it.each([
    ['abc', 'abc'],
    ['*', 'abc'],
    ['*', ''],
    ['*c', 'abc'],
    ['a*', 'a'],
    ['a*/b', 'abc/b'],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f'],
    ['a*b?c*x', 'abxbbxdbxebxczzx'],
    ['ab[c]', 'abc'],
    ['ab[b-d]', 'abc'],
    ['ab[^e-g]', 'abc'],
    ['a\\*b', 'a*b'],
    ['a?b', 'a☺b'],
    ['a?b', 'a😀b'],
    ['a[^a]b', 'a☺b'],
    ['[a-ζ]*', 'α'],
    ['[\\]a]', ']'],
    ['[\\-]', '-'],
    ['[x\\-]', '-'],
    ['[\\-x]', 'x'],
    ['*x', 'xxx'],
    ['.*', '.hidden'],
    ['*', '.hidden'],
    ['**', 'abc'],
    ['a]', 'a]'],
    ['', ''],
    ['*.tar.gz', 'x.tar.gz'],
    ['[*]', '*'],
    ['[a^]', '^'],
  ])('%j: matches %j', (pattern, name) => {
    expect(matchGlob(pattern, name)).toBe(true);
    expect(globError(pattern)).toBeUndefined();
  });

  it.each([
    ['a*', 'ab/c'],
    ['a*/b', 'a/c/b'],
    ['**', 'a/b'],
    ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f'],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff'],
    ['a*b?c*x', 'abxbbxdbxebxczzy'],
    ['ab[e-g]', 'abc'],
    ['ab[^b-d]', 'abc'],
    ['a\\*b', 'ab'],
    ['a???b', 'a☺b'],
    ['*[a-ζ]', 'A'],
    ['a?b', 'a/b'],
    ['a*b', 'a/b'],
    ['[x\\-]', 'z'],
    ['abc', 'ABC'],
    ['abc', 'abcd'],
    ['abc', 'xabc'],
    ['', 'a'],
  ])('%j: does not match %j', (pattern, name) => {
    expect(matchGlob(pattern, name)).toBe(false);
  });

  it.each([
    ['[]a]', 'misplaced ] in a character class'],
    ['[-]', 'misplaced - in a character class'],
    ['[x-]', 'misplaced ] in a character class'],
    ['[-x]', 'misplaced - in a character class'],
    ['\\', 'trailing backslash'],
    ['[a-b-c]', 'misplaced - in a character class'],
    ['[', 'unterminated character class'],
    ['[^', 'unterminated character class'],
    ['[^bc', 'unterminated character class'],
    ['a[', 'unterminated character class'],
    ['[a-', 'unterminated character class'],
    ['[\\', 'unterminated character class'],
    ['a'.repeat(4097), 'pattern longer than 4096 characters'],
  ])('%j: is malformed and matches nothing', (pattern, problem) => {
    expect(globError(pattern)).toBe(problem);
    for (const name of ['a', '-', ']', 'x', pattern]) expect(matchGlob(pattern, name)).toBe(false);
  });

  it('time: does not explode on patterns made for it', () => {
    const start = performance.now();
    expect(matchGlob(`${'*a'.repeat(500)}b`, 'a'.repeat(4000))).toBe(false);
    expect(matchGlob(`${'a*'.repeat(500)}[b]`, 'a'.repeat(4000))).toBe(false);
    expect(matchGlob(`${'[a]*'.repeat(500)}?c?`, `${'a'.repeat(4000)}bb`)).toBe(false);
    const matcher = new IgnoreMatcher([`${'**/a/'.repeat(300)}[b]`, `${'a**'.repeat(300)}[b]`]);
    expect(matcher.matches(`${'a/'.repeat(100)}c`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

function excludes(patterns: readonly string[], path: string): boolean {
  return new IgnoreMatcher(patterns).matches(path);
}

describe('IgnoreMatcher', () => {
  it.each([
    ['**', 'file'],
    ['**', 'dir/file'],
    ['**/', 'dir/file'],
    ['**/**', 'dir/file'],
    ['dir/**', 'dir/file'],
    ['dir/**', 'dir/dir2/file'],
    ['**/dir', 'dir'],
    ['**/dir', 'a/b/dir'],
    ['**/dir', 'dir/file'],
    ['**/dir2/*', 'dir/dir2/file'],
    ['**/dir2/**', 'dir/dir2/dir3/file'],
    ['**file', 'file'],
    ['**file', 'dir/file'],
    ['**file', 'dir/otherfile'],
    ['**/file*txt', 'dir/dir/file.txt'],
    ['**/**/*.txt', 'file.txt'],
    ['a**/*.txt', 'a/file.txt'],
    ['a**/*.txt', 'a/dir/dir/file.txt'],
    ['a/*.txt**', 'a/file.txt'],
    ['a[b-d]e', 'ace'],
    ['.*', '.foo'],
    ['abc.def', 'abc.def'],
    ['abc?def', 'abcZdef'],
    ['**/foo/bar', 'dir/dir2/foo/bar'],
    ['abc/**', 'abc/def/ghi'],
    ['**/.foo', '.foo'],
    ['a(b)c/def', 'a(b)c/def'],
    ['a.|)$(}+{bc', 'a.|)$(}+{bc'],
    ['a\\\\', 'a\\'],
    ['a\\*b', 'a*b'],
    ['docs', 'docs/deep/down/file'],
    ['docs/', 'docs/file'],
    ['./docs', 'docs'],
    ['a/../docs', 'docs'],
    ['a//b', 'a/b'],
    ['  spaced  ', 'spaced'],
    ['*/*', 'a/b'],
  ])('%j: excludes %j', (pattern, path) => {
    expect(excludes([pattern], path)).toBe(true);
  });

  it.each([
    ['**/**/*.txt2', 'dir/dir/file.txt'],
    ['a/*.txt', 'a/dir/file.txt'],
    ['a[b-d]e', 'ae'],
    ['.*', 'foo'],
    ['abc.def', 'abcZdef'],
    ['abc/**', 'abc'],
    ['**/.foo', 'bar.foo'],
    ['**.f*', 'bar.foo'],
    ['foo', 'dir/foo'],
    ['/docs', 'docs'],
    ['*', '.'],
    ['.', 'a'],
    ['..', 'a'],
    ['', 'a'],
    ['#a', 'a'],
  ])('%j: does not exclude %j', (pattern, path) => {
    expect(excludes([pattern], path)).toBe(false);
  });

  it.each<[readonly string[], string, boolean]>([
    [['docs', '!docs/README.md'], 'docs/README.md', false],
    [['docs', '!docs/README.md'], 'docs/other', true],
    [['!a.go', '*.go'], 'a.go', true],
    [['*.go', '!a.go'], 'a.go', false],
    [['**', '!util/docker/web'], 'util/docker/web/foo', false],
    [['**', '!util/docker/web'], 'util/docker', true],
    [['**', '!util/docker/web', 'util/docker/web/foo'], 'util/docker/web/foo', true],
    [['*', '!dist/*.whl'], 'dist/a-2.4.0+g08.whl', false],
    [['node_modules', '!**/*.md', 'node_modules/x'], 'node_modules/x/y.md', true],
    [['! a', 'a'], 'a', true],
    [['a', '!  a '], 'a', false],
  ])('%j: the last pattern that covers %j decides', (patterns, path, expected) => {
    expect(excludes(patterns, path)).toBe(expected);
  });

  it('patterns: are cleaned, and make the same matcher again', () => {
    const matcher = new IgnoreMatcher(['', ' ./a/ ', '!b//c/', '/d']);
    expect(matcher.patterns).toEqual(['a', '!b/c', '/d']);
    expect(new IgnoreMatcher(matcher.patterns).patterns).toEqual(matcher.patterns);
  });

  it.each([
    [['a', '!'], 'line 2: "!" without a pattern'],
    [['a', '! '], 'line 2: "!" without a pattern'],
    [['[a'], 'line 1: "[a": unterminated character class'],
  ])('%j: is refused', (patterns, message) => {
    expect(() => new IgnoreMatcher(patterns)).toThrow(new FormatError(message));
  });

  describe('parse', () => {
    it('text: byte order mark, comments, blank lines, line ends, leading slashes', () => {
      const text = '\uFEFF# comment\r\n\r\n/build/\r\n #not-a-comment\n!/build/keep\n! spaced\n/\n\n*.log';
      expect(IgnoreMatcher.parse(text).patterns).toEqual([
        'build',
        '#not-a-comment',
        '!build/keep',
        '!spaced',
        '/',
        '*.log',
      ]);
    });

    it('nothing: excludes nothing', () => {
      expect(IgnoreMatcher.parse('').patterns).toEqual([]);
      expect(IgnoreMatcher.parse('# only a comment').matches('a')).toBe(false);
      expect(IgnoreMatcher.parse('').excludesTree('a')).toBe(false);
    });

    it('errors: name the line', () => {
      expect(() => IgnoreMatcher.parse('# one\n\nok\n[z-\n')).toThrow('line 4: "[z-": unterminated character class');
      expect(() => IgnoreMatcher.parse('ok\n!\n')).toThrow('line 2: "!" without a pattern');
    });
  });

  describe('explain', () => {
    it('rule: is the one that decided, for what it includes as well', () => {
      const matcher = IgnoreMatcher.parse('# all but one\n*\n!/src\nsrc/*.log\n');
      expect(matcher.explain('README')).toEqual({ pattern: '*', line: 2 });
      expect(matcher.explain('src/deep/file')).toEqual({ pattern: '!src', line: 3 });
      expect(matcher.explain('src/x.log/y')).toEqual({ pattern: 'src/*.log', line: 4 });
      expect(IgnoreMatcher.parse('a').explain('b')).toBeUndefined();
      expect(matcher.explain('.')).toBeUndefined();
    });
  });

  describe('excludesTree', () => {
    it.each<[readonly string[], string, boolean]>([
      [['node_modules'], 'node_modules', true],
      [['node_modules'], 'node_modules/a/b', true],
      [['node_modules'], 'src', false],
      [['docs', '!docs/README.md'], 'docs', false],
      [['docs', '!docs/README.md'], 'docs/sub', true],
      [['docs', '!docs/*/keep'], 'docs/sub', false],
      [['docs', '!docs/*/keep'], 'docs/sub/sub', true],
      [['*', '!src'], 'build', true],
      [['*', '!src'], 'src', false],
      [['*', '!src/lib'], 'src', false],
      [['*', '!src/lib'], 'src/other', true],
      [['node_modules', '!**/*.md'], 'node_modules', false],
      [['node_modules', '!**keep'], 'node_modules', false],
      [['!**/*.md', 'node_modules'], 'node_modules', true],
      [['a', '!a'], 'a', false],
      [['a/**', '!a/b/**'], 'a/b', false],
      [['a/**', '!a/b/**'], 'a/c', true],
      [['**'], 'x', true],
      [['x', '!x[^a]y'], 'x', false],
    ])('%j: pruning %j is %s', (patterns, directory, expected) => {
      expect(new IgnoreMatcher(patterns).excludesTree(directory)).toBe(expected);
    });
  });

  const word = fc.constantFrom('a', 'b', 'ab', '.a', 'a.b');
  const piece = fc.constantFrom(
    'a',
    'b',
    'ab',
    '.a',
    '*',
    '?',
    '**',
    'a*',
    '*b',
    '**a',
    'a**',
    '[ab]',
    '[^b]',
    '\\*',
    '*.b',
    '***',
  );
  const pattern = fc
    .tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 4 }))
    .map(([negated, pieces]) => (negated ? '!' : '') + pieces.join('/'));
  const patternLists = fc.array(pattern, { minLength: 1, maxLength: 5 });
  const paths = fc.array(word, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));

  it('property: decides as moby does', () => {
    fc.assert(
      fc.property(patternLists, fc.array(paths, { minLength: 1, maxLength: 8 }), (patterns, list) => {
        const matcher = new IgnoreMatcher(patterns);
        for (const path of list) expect(matcher.matches(path), path).toBe(mobyMatches(matcher.patterns, path));
      }),
      { numRuns: 3000 },
    );
  });

  it('property: what is pruned has nothing below that is not excluded', () => {
    fc.assert(
      fc.property(patternLists, paths, paths, (patterns, directory, below) => {
        const matcher = new IgnoreMatcher(patterns);
        fc.pre(matcher.excludesTree(directory));
        expect(mobyMatches(matcher.patterns, directory)).toBe(true);
        expect(mobyMatches(matcher.patterns, `${directory}/${below}`)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('property: any text is a matcher or a FormatError', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom(
            '*',
            '?',
            '[',
            ']',
            '^',
            '-',
            '\\',
            '!',
            '#',
            '/',
            '.',
            'a',
            '\n',
            ' ',
            '\r',
            'é',
            '😀',
          ),
        }),
        paths,
        (text, path) => {
          try {
            const matcher = IgnoreMatcher.parse(text);
            const again = new IgnoreMatcher(matcher.patterns);
            expect(again.matches(path)).toBe(matcher.matches(path));
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('speed: 100,000 paths take far less than a second', () => {
    const matcher = IgnoreMatcher.parse(
      'node_modules\n**/node_modules\n*.log\n**/*.log\n**/dist\nbuild/**\n!build/keep/**\n**/*.py[co]\n.env*\n**/test?/x\n',
    );
    const list = Array.from(
      { length: 100_000 },
      (_, i) => `src/pkg${i % 100}/mod${i % 50}/sub/file${i}.${i % 5 === 0 ? 'log' : 'ts'}`,
    ).toSorted();
    const start = performance.now();
    expect(list.filter((path) => matcher.matches(path))).toHaveLength(20_000);
    expect(performance.now() - start).toBeLessThan(1500);
  });
});
