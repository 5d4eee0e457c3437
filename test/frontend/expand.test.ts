import { describe, expect, it } from 'vitest';
import { expand, newFuel } from '../../frontend/expand.ts';

const VALUES: Readonly<Record<string, string>> = {
  set: 'value',
  empty: '',
  path: '/a/b/c',
  file: 'app.tar.gz',
  größe: 'xl',
  two: 'x y',
};
const lookup = (name: string): string | undefined => VALUES[name];
const text = (source: string, escape: '\\' | '`' = '\\'): string => expand(source, lookup, { escape }).text;

const keep = (source: string): string => expand(source, lookup, { escape: '\\', unset: 'keep' }).text;

describe('expand: forms', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['$unset', ''],
    ['${unset}', ''],
    ['$set', 'value'],
    ['${set}s', 'values'],
    ['$sets', ''],
    ['$größe', 'xl'],
    ['$.', '$.'],
    ['$', '$'],
    ['a$', 'a$'],
    ['$1x', 'x'],
    ['$12x', 'x'],
    ['[$@$*$#$?$-$$$!$0]', '[]'],
    ['${unset:-w}', 'w'],
    ['${unset-w}', 'w'],
    ['${empty:-w}', 'w'],
    ['${empty-w}', ''],
    ['${set:-w}', 'value'],
    ['${set-w}', 'value'],
    ['${unset:+w}', ''],
    ['${unset+w}', ''],
    ['${empty:+w}', ''],
    ['${empty+w}', 'w'],
    ['${set:+w}', 'w'],
    ['${set+w}', 'w'],
    ['${set:?m}', 'value'],
    ['${set?m}', 'value'],
    ['${empty?m}', ''],
    ['${unset:-${set}}', 'value'],
    ['${unset:-${unset:-${set:-z}}}', 'value'],
    ['${unset:-"a b"}', 'a b'],
    ['${unset:-a\\}b}', 'a}b'],
    ['${path#*/}', 'a/b/c'],
    ['${path##*/}', 'c'],
    ['${path%/*}', '/a/b'],
    ['${path%%/*}', ''],
    ['${file%.*}', 'app.tar'],
    ['${file%%.*}', 'app'],
    ['${file#*.}', 'tar.gz'],
    ['${file##*.}', 'gz'],
    ['${set#v?l}', 'ue'],
    ['${set#x}', 'value'],
    ['${set#[v]}', 'value'],
    ['${set%$empty}', 'value'],
    ['${unset#x}', ''],
    ['${path/\\//-}', '-a/b/c'],
    ['${path//\\//-}', '-a-b-c'],
    ['${set/a*/X}', 'vX'],
    ['${set/?/X}', 'Xalue'],
    ['${set//?/X}', 'XXXXX'],
    ['${set/u/$path}', 'val/a/b/ce'],
    ['${set/u/$1}', 'vale'],
    ['${set/z/X}', 'value'],
    ['${set/u/\\}}', 'val}e'],
  ];
  it.each(rows)('expand: %s gives %s', (source, expected) => {
    expect(text(source)).toBe(expected);
  });
});

describe('expand: errors', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['${unset:?m}', 'unset: m'],
    ['${unset?m}', 'unset: m'],
    ['${empty:?m}', 'empty: m'],
    ['${unset:?}', 'unset: is not allowed to be unset'],
    ['${empty:?}', 'empty: is not allowed to be empty'],
    ['${set:=w}', 'unsupported modifier (:=) in substitution'],
    ['${set=w}', 'unsupported modifier (=) in substitution'],
    ['${!set}', 'unsupported modifier (s) in substitution'],
    ['${#set}', 'unsupported modifier (s) in substitution'],
    ['${set:YYY}', 'unsupported modifier (:Y) in substitution'],
    ['${}', 'bad substitution'],
    ['${.}', 'unsupported modifier (.) in substitution'],
    ['${{', 'bad substitution'],
    ['${:x}', 'bad substitution'],
    ['${', "missing '}'"],
    ['${set', "missing '}'"],
    ['${set:-x', "missing '}'"],
    ['${set/x', "missing '/' in ${}"],
    ['${set/x}', "missing '/' in ${}"],
    ["'abc", 'matching single-quote'],
    ['"abc', 'matching double-quote'],
    ['${set#\\x}', "invalid escape '\\x'"],
  ];
  it.each(rows)('expand: %s is refused: %s', (source, message) => {
    expect(() => text(source)).toThrow(message);
  });

  it('expand: refuses nesting without end instead of overflowing the stack', () => {
    expect(() => text('${a:-'.repeat(20_000))).toThrow('nested too deeply');
  });

  it('expand: refuses to grow without end', () => {
    const fuel = newFuel();
    let value = 'x'.repeat(1000);
    expect(() => {
      for (let i = 0; i < 64; i++) value = expand('$a$a', () => value, { escape: '\\', fuel }).text;
    }).toThrow(/longer than|too much work/);
  });

  it('expand: a hostile pattern costs bounded work', () => {
    const fuel = newFuel();
    const value = 'a'.repeat(100_000);
    const pattern = `${'*a'.repeat(100)}*b`;
    const startMs = performance.now();
    try {
      expand(`\${v##${pattern}}`, () => value, { escape: '\\', fuel });
    } catch (error) {
      expect(String(error)).toContain('too much work');
    }
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });
});

describe('expand: quotes and escapes', () => {
  const rows: readonly (readonly [string, string])[] = [
    [`'$set "x" \\'`, '$set "x" \\'],
    [`"$set 'x'"`, "value 'x'"],
    [String.raw`"\" \$ \\ \a"`, String.raw`" $ \ \a`],
    [String.raw`\$set`, '$set'],
    [String.raw`\a\b`, 'ab'],
    ['a\\', 'a'],
    ['a"b"c', 'abc'],
    [`""`, ''],
    ['a   b', 'a   b'],
    ['"${unset:-"in"}"', 'in'],
  ];
  it.each(rows)('expand: %s gives %s', (source, expected) => {
    expect(text(source)).toBe(expected);
  });

  it('expand: the escape directive moves escaping to the backtick', () => {
    expect(text('`$set \\$set', '`')).toBe('$set \\value');
  });

  it('expand: raw quotes stay, but still group', () => {
    expect(expand(`a "b $set" 'c d'`, lookup, { escape: '\\', quotes: 'keep' })).toMatchObject({
      text: `a "b value" 'c d'`,
      words: ['a', '"b value"', "'c d'"],
    });
  });

  it('expand: ordinary quotes do not stop variables', () => {
    expect(expand(`it's "$set" \\$set`, lookup, { escape: '\\', quotes: 'ordinary' }).text).toBe(`it's "value" $set`);
  });

  it('expand: unset variables can stay as they are', () => {
    expect(keep('$unset ${unset} ${unset:-x} ${unset//a/b} $set')).toBe(
      '$unset ${unset} ${unset:-x} ${unset//a/b} value',
    );
  });
});

describe('expand: words', () => {
  it('expand: values are split, quoted ones are not', () => {
    expect(expand('a $two "$two" b\\ c', lookup, { escape: '\\' }).words).toEqual(['a', 'x', 'y', 'x y', 'b c']);
  });

  it('expand: tells which variables were set', () => {
    const { matched, unmatched } = expand('$set $unset ${nope:-$empty}', lookup, { escape: '\\' });
    expect([[...matched], [...unmatched]]).toEqual([
      ['set', 'empty'],
      ['unset', 'nope'],
    ]);
  });
});
