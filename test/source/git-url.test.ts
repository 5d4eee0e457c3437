import { describe, expect, it } from 'vitest';
import { parseGitUrl } from '../../src/source/git-url.ts';

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
    ['https://h.example/b.git#-x', /cannot begin with -/],
    ['https://h.example/b.git#v1:../..', /subdir leads outside/],
    ['https://h.example/b.git#v1:a/../../b', /subdir leads outside/],
    ['https://h.example/b.git?ref=a#b', /ref is given by the query and after #/],
    ['https://h.example/b.git?ref=a&branch=b', /ref is given twice/],
    ['https://h.example/b.git?checksum=xyz', /hex digits/],
    ['https://h.example/b.git?mtime=now', /mtime/],
    ['https://h.example/b.git?submodules=maybe', /neither true nor false/],
    ['https://h.example/b.git?unknown=1', /unknown query key "unknown"/],
  ])('%s is refused', (text, message) => expect(() => parseGitUrl(text)).toThrow(message));

  it('a refusal shows no login', () => {
    expect(() => parseGitUrl('https://ann:secret@h.example/b.git#-x')).toThrow(
      /^git https:\/\/h\.example\/b\.git failed/,
    );
  });
});
