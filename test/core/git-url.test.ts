import { describe, expect, it } from 'vitest';
import { parseGitUrl } from '../../src/core/git-url.ts';

const SHA = '0123456789abcdef0123456789abcdef01234567';

describe('git url', () => {
  it.each([
    ['https://h.example/a/b.git', { remote: 'https://h.example/a/b.git' }],
    ['http://h.example/b.git#', { remote: 'http://h.example/b.git' }],
    ['https://h.example/b.git#v1', { remote: 'https://h.example/b.git', ref: 'v1' }],
    ['https://h.example/b.git#v1:sub/./dir/', { remote: 'https://h.example/b.git', ref: 'v1', subdir: 'sub/dir' }],
    ['https://h.example/b.git#:dir', { remote: 'https://h.example/b.git', subdir: 'dir' }],
    ['https://h.example/b.git#:/', { remote: 'https://h.example/b.git' }],
    ['git@h.example:a/b.git#v1', { remote: 'git@h.example:a/b.git', ref: 'v1' }],
    ['git@h.example:a/b', { remote: 'git@h.example:a/b' }],
    ['ssh://git@h.example:2222/a/b#v1', { remote: 'ssh://git@h.example:2222/a/b', ref: 'v1' }],
    ['git://h.example/a', { remote: 'git://h.example/a' }],
    ['https://h.example/b.git?ref=v1&subdir=d', { remote: 'https://h.example/b.git', ref: 'v1', subdir: 'd' }],
    ['HTTPS://h.example/b.git?ref=v1#v1', { remote: 'HTTPS://h.example/b.git', ref: 'v1' }],
    ['https://h.example/b.git?tag=refs/tags/x', { remote: 'https://h.example/b.git', ref: 'refs/tags/x' }],
    ['https://h.example/b.git?checksum=0123456', { remote: 'https://h.example/b.git', checksum: '0123456' }],
    ['https://h.example/b.git?branch=x', { remote: 'https://h.example/b.git', ref: 'refs/heads/x' }],
    ['https://h.example/b.git?tag=x', { remote: 'https://h.example/b.git', ref: 'refs/tags/x' }],
    [`https://h.example/b.git?commit=${SHA}`, { remote: 'https://h.example/b.git', checksum: SHA, ref: SHA }],
    [
      'https://h.example/b.git?checksum=0123456#v1',
      { remote: 'https://h.example/b.git', checksum: '0123456', ref: 'v1' },
    ],
    [
      'https://h.example/b.git?submodules=false&keep-git-dir&mtime=commit&fetch-by-commit=1',
      { remote: 'https://h.example/b.git', submodules: 'none', gitDir: 'keep', mtime: 'commit' },
    ],
  ])('%s', (text, expected) => expect(parseGitUrl(text)).toEqual(expected));

  it.each([
    'https://h.example/archive.tar.gz',
    'https://h.example/b.git/archive',
    'github.com/a/b',
    './b.git',
    '/srv/b.git',
    'b.git',
    '-oProxyCommand=x@h:a',
    '--upload-pack=x.git',
    'file:///srv/b.git',
    'ext::sh -c x.git',
    'C:file',
    '',
  ])('%s is none', (text) => expect(parseGitUrl(text)).toBeUndefined());

  it.each([
    ['https://h.example/b.git#-x', 'a ref must not begin with a dash'],
    ['https://h.example/b.git#v1:../..', 'the folder "../.." leaves the repository'],
    ['https://h.example/b.git#v1:a/../../b', 'the folder "a/../../b" leaves the repository'],
    ['https://h.example/b.git?ref=a#b', 'ref conflicts: "b" vs "a"'],
    ['https://h.example/b.git?ref=a&branch=b', 'ref conflicts: "a" vs "refs/heads/b"'],
    ['https://h.example/b.git?ref=a&ref=b', 'query "ref" has multiple values'],
    ['https://h.example/b.git?commit=abcdef1&checksum=abcdef2', 'checksum conflicts: "abcdef1" vs "abcdef2"'],
    ['https://h.example/b.git?ref=', 'query "ref" has no value'],
    ['https://h.example/b.git?checksum=xyz', 'a commit is given by 7 to 64 hex digits'],
    ['https://h.example/b.git?checksum=abc123', 'a commit is given by 7 to 64 hex digits'],
    ['https://h.example/b.git?mtime=now', 'invalid mtime value: "now"'],
    ['https://h.example/b.git?submodules=maybe', 'invalid submodules value: "maybe"'],
    ['https://h.example/b.git?unknown=1', 'unexpected query "unknown"'],
  ])('%s is refused', (text, message) => expect(() => parseGitUrl(text)).toThrow(message));
});
