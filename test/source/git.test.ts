import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { GitSource } from '../../src/core/source.ts';
import { openGitSource } from '../../src/source/git.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { COMMIT_SECONDS, openGitRepository, serveGit } from '../support/git-repository.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { fetchedTreesIn, temporaryDirectory } from '../support/store-rig.ts';

const defaults = { submodules: 'recursive', gitDir: 'drop' } as const;

interface Rig extends AsyncDisposable {
  readonly dir: string;
  readonly tmp: string;
  open(o?: { fileProtocol?: 'refuse' | 'allow'; secrets?: Record<string, string>; agent?: string }): GitSource;
}

async function openGitRig(): Promise<Rig> {
  const folder = await temporaryDirectory();
  const [dir, tmp] = [join(folder.path, 'git'), join(folder.path, 'tmp')];
  return {
    dir,
    tmp,
    open: ({ fileProtocol = 'allow', secrets = {}, agent } = {}) =>
      openGitSource({
        trees: fetchedTreesIn(dir, tmp),
        tmp,
        fileProtocol,
        secrets: {
          lookup: async (id) => (secrets[id] === undefined ? undefined : Buffer.from(secrets[id])),
          lookupAgent: async () => agent,
        },
      }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describeWith(['git'], 'git source', () => {
  it('files: the commit alone, 0644 or 0755 whatever the umask, links as they are', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    await repository.commit({ 'a.txt': 'one', 'bin/run': { program: '#!/bin/sh\n' }, link: { link: '/etc/passwd' } });
    const before = process.umask(0o077);
    const { tree } = await rig
      .open()
      .fetch({ remote: repository.url, ...defaults })
      .finally(() => process.umask(before));
    const mode = (path: string): number => lstatSync(join(tree.root, path)).mode & 0o7777;
    expect((await readdir(tree.root)).toSorted()).toEqual(['a.txt', 'bin', 'link']);
    expect([mode('.'), mode('bin'), mode('a.txt'), mode('bin/run')]).toEqual([0o755, 0o755, 0o644, 0o755]);
    expect(readlinkSync(join(tree.root, 'link'))).toBe('/etc/passwd');
    expect(await readdir(rig.tmp)).toEqual([]);
  });

  it('ref: branch, tag, annotated tag, full ref, commit; a branch before a tag', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    const first = await repository.commit({ f: 'first' });
    await repository.git('tag', 'light');
    await repository.git('tag', '--annotate', 'heavy', '--message', 'x');
    await repository.git('tag', 'both');
    await repository.commit({ f: 'second' });
    await repository.git('branch', 'both');
    await repository.commit({ f: 'third' });
    await repository.git('update-ref', 'refs/pull/1/head', first);
    const content = async (ref?: string): Promise<string> => {
      const { tree } = await rig
        .open()
        .fetch({ remote: repository.url, ...defaults, ...(ref !== undefined && { ref }) });
      return readFileSync(join(tree.root, 'f'), 'utf8');
    };
    expect(await content()).toBe('third');
    expect(await content('main')).toBe('third');
    expect(await content('light')).toBe('first');
    expect(await content('heavy')).toBe('first');
    expect(await content('refs/tags/both')).toBe('first');
    expect(await content('both')).toBe('second');
    expect(await content('refs/pull/1/head')).toBe('first');
    expect(await content(first)).toBe('first');
    expect(await content(await repository.git('rev-parse', 'heavy'))).toBe('first');
  });

  it('ref: a commit that the server does not give alone is found in the history', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    const first = await repository.commit({ f: 'first' });
    await repository.commit({ f: 'second' });
    await repository.git('config', 'uploadpack.allowAnySHA1InWant', 'false');
    await repository.git('config', 'protocol.version', '0');
    const { tree } = await rig.open().fetch({ remote: repository.url, ref: first, ...defaults });
    expect(readFileSync(join(tree.root, 'f'), 'utf8')).toBe('first');
  });

  it('identity: that of the commit and of what is made of it; unchanged nothing is fetched', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    const commit = await repository.commit({ f: 'x', 'd/g': 'y' });
    const fetch = (o: object = {}) =>
      rig.open().fetch({ remote: repository.url, submodules: 'none', gitDir: 'drop', ...o });
    const first = await fetch();
    expect((await fetch({ ref: 'main' })).identity).toBe(first.identity);
    expect((await fetch({ ref: commit })).identity).toBe(first.identity);
    for (const other of [{ subdir: 'd' }, { gitDir: 'keep' }, { mtime: 'commit' }]) {
      expect((await fetch(other)).identity).not.toBe(first.identity);
    }
    // The server could not even be asked.
    await repository.git('config', 'core.repositoryformatversion', '99');
    expect(await fetch({ ref: commit })).toEqual(first);
    await repository.git(
      'config',
      '--file',
      join(repository.folder, '.git/config'),
      'core.repositoryformatversion',
      '0',
    );
    await repository.commit({ f: 'changed' });
    expect((await fetch()).identity).not.toBe(first.identity);
  });

  it('checksum: a prefix of the commit or the tag; anything else is refused', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    const commit = await repository.commit({ f: 'x' });
    await repository.git('tag', '--annotate', 'v1', '--message', 'x');
    const tag = await repository.git('rev-parse', 'v1');
    const fetch = (checksum: string) => rig.open().fetch({ remote: repository.url, ref: 'v1', checksum, ...defaults });
    await fetch(commit.slice(0, 7));
    await fetch(commit);
    await fetch(tag);
    expect(await codeOf(fetch('0000000'))).toBe('DIGEST_MISMATCH');
    expect(await codeOf(fetch('abc'))).toBe('GIT_FAILED');
  });

  it('mtime: of the commit where wanted', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    await repository.commit({ 'd/f': 'x' });
    const { tree } = await rig.open().fetch({ remote: repository.url, mtime: 'commit', ...defaults });
    expect(['.', 'd', 'd/f'].map((path) => lstatSync(join(tree.root, path)).mtimeMs / 1000)).toEqual(
      Array(3).fill(COMMIT_SECONDS),
    );
  });

  it('.git: kept where wanted, without hooks', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    const commit = await repository.commit({ f: 'x' });
    const { tree } = await rig.open().fetch({ remote: repository.url, submodules: 'none', gitDir: 'keep' });
    expect(
      await checkProgram('git', ['-c', `safe.directory=${tree.root}`, 'rev-parse', 'HEAD'], { cwd: tree.root }),
    ).toBe(`${commit}\n`);
    expect(existsSync(join(tree.root, '.git/hooks'))).toBe(false);
  });

  it('submodules: are checked out, without their .git, or left out', async () => {
    await using rig = await openGitRig();
    await using inner = await openGitRepository();
    await inner.commit({ in: 'inner' });
    await using outer = await openGitRepository();
    await outer.commit({ out: 'outer' });
    await outer.git('submodule', '--quiet', 'add', inner.url, 'sub');
    await outer.commit({});
    const all = await rig.open().fetch({ remote: outer.url, ...defaults });
    expect(readFileSync(join(all.tree.root, 'sub/in'), 'utf8')).toBe('inner');
    expect(existsSync(join(all.tree.root, 'sub/.git'))).toBe(false);
    const none = await rig.open().fetch({ remote: outer.url, submodules: 'none', gitDir: 'drop' });
    expect(await readdir(join(none.tree.root, 'sub'))).toEqual([]);
  });

  it('subdir: a real directory only', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    await repository.commit({ 'a/b/f': 'x', 'a/up': { link: '/etc' }, 'a/around': { link: 'b' } });
    const fetch = (subdir: string) => rig.open().fetch({ remote: repository.url, subdir, ...defaults });
    expect(await readdir((await fetch('a/b')).tree.root)).toEqual(['f']);
    for (const subdir of ['a/up', 'a/up/ssl', 'a/around', 'a/b/f', 'nothing', '..', 'a/../..', '.git']) {
      expect(await codeOf(fetch(subdir)), subdir).toBe('GIT_FAILED');
    }
  });
});

describeWith(['git'], 'git source: hostile', () => {
  it.each(['-x', '--upload-pack=touch /tmp/x', 'a b', 'a..b', 'a:b', '@{u}', 'a~1', 'x.lock', 'a\nb'])(
    'ref %j is refused',
    async (ref) => {
      await using rig = await openGitRig();
      await using repository = await openGitRepository();
      await repository.commit({ f: 'x' });
      expect(await codeOf(rig.open().fetch({ remote: repository.url, ref, ...defaults }))).toBe('GIT_FAILED');
    },
  );
  it.each([
    '-x',
    '--upload-pack=x',
    '/etc',
    '.',
    'ext::sh -c id',
    'file:///tmp',
    'fd::0',
    'git@-oProxyCommand=x:a',
    'u@h:-x',
  ])('remote %j is refused', async (remote) => {
    await using rig = await openGitRig();
    expect(await codeOf(rig.open({ fileProtocol: 'refuse' }).fetch({ remote, ...defaults }))).toBe('GIT_FAILED');
  });
  it('a submodule may not be a file of this machine', async () => {
    await using rig = await openGitRig();
    await using inner = await openGitRepository();
    await inner.commit({ secret: 'x' });
    await using outer = await openGitRepository();
    await outer.commit({ f: 'x' });
    await outer.git('submodule', '--quiet', 'add', inner.url, 'sub');
    await outer.commit({});
    await using server = await serveGit(outer.folder);
    const source = rig.open({ fileProtocol: 'refuse' });
    await expect(source.fetch({ remote: `${server.url}/.git`, ...defaults })).rejects.toThrow(
      /transport 'file' not allowed/,
    );
  });
  it('neither hooks, filters nor the configuration of this machine are run', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    const canary = join(rig.tmp, '../canary');
    await repository.commit({
      '.gitattributes': '* filter=evil diff=evil\n',
      '.gitconfig': `[filter "evil"]\n smudge = touch ${canary}\n`,
      '.lfsconfig': '[lfs]\n url = x\n',
      f: 'x',
    });
    vi.stubEnv('GIT_CONFIG_COUNT', '1');
    vi.stubEnv('GIT_CONFIG_KEY_0', 'filter.evil.smudge');
    vi.stubEnv('GIT_CONFIG_VALUE_0', `touch ${canary}`);
    vi.stubEnv('GIT_DIR', '/nowhere');
    try {
      const { tree } = await rig.open().fetch({ remote: repository.url, ...defaults });
      expect(await readFile(join(tree.root, 'f'), 'utf8')).toBe('x');
    } finally {
      vi.unstubAllEnvs();
    }
    expect(existsSync(canary)).toBe(false);
  });
  it('a repository that is not there, or is empty, is an error in its own words', async () => {
    await using rig = await openGitRig();
    await using empty = await openGitRepository();
    await expect(rig.open().fetch({ remote: `${empty.url}/nothing`, ...defaults })).rejects.toThrow(
      /does not appear to be a git repository|not found/,
    );
    await expect(rig.open().fetch({ remote: empty.url, ...defaults })).rejects.toThrow(/the repository is empty/);
    await empty.commit({ f: 'x' });
    await expect(rig.open().fetch({ remote: empty.url, ref: 'nothing', ...defaults })).rejects.toThrow(
      /there is no ref "nothing"/,
    );
    await expect(rig.open().fetch({ remote: empty.url, ref: '0'.repeat(40), ...defaults })).rejects.toThrow(
      /GIT_FAILED|git file/,
    );
    expect(await readdir(rig.tmp)).toEqual([]);
  });
});

describeWith(['git'], 'git source: over http', () => {
  it('is fetched, logins are sent and neither shown nor kept', async () => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    await repository.commit({ f: 'x' });
    await using server = await serveGit(repository.folder, `basic ${Buffer.from('ann:s3cret').toString('base64')}`);
    const remote = `${server.url.replace('//', '//ann:s3cret@')}/.git`;
    const { tree } = await rig.open().fetch({ remote, submodules: 'none', gitDir: 'keep' });
    expect(await readFile(join(tree.root, 'f'), 'utf8')).toBe('x');
    expect(await readFile(join(tree.root, '.git/config'), 'utf8')).not.toContain('s3cret');
    const wrong = remote.replace('s3cret', 'wr0ng');
    const error = await rig
      .open()
      .fetch({ remote: wrong, ...defaults })
      .catch((reason: unknown) => String(reason));
    expect(error).toMatch(/GIT_FAILED|git http/);
    expect(error).not.toMatch(/wr0ng|ann/);
  });
  it.each([
    ['GIT_AUTH_TOKEN', 't0ken', Buffer.from('x-access-token:t0ken').toString('base64')],
    ['GIT_AUTH_HEADER', `Basic ${Buffer.from('a:b').toString('base64')}`, Buffer.from('a:b').toString('base64')],
  ])('the secret %s lets in, also that of one host', async (id, value, expected) => {
    await using rig = await openGitRig();
    await using repository = await openGitRepository();
    await repository.commit({ f: 'x' });
    await using server = await serveGit(repository.folder, `basic ${expected}`);
    const remote = `${server.url}/.git`;
    const { host } = new URL(server.url);
    await rig.open({ secrets: { [id]: value } }).fetch({ remote, ...defaults });
    await rig
      .open({ secrets: { [`${id}.${host}`]: value, [id]: 'wrong' } })
      .fetch({ remote, ref: 'main', ...defaults });
    expect(await codeOf(rig.open().fetch({ remote, ...defaults }))).toBe('GIT_FAILED');
  });
  it('abort: git and its helpers end', async () => {
    await using rig = await openGitRig();
    const { promise: connected, resolve } = Promise.withResolvers<undefined>();
    const { promise: closed, resolve: close } = Promise.withResolvers<undefined>();
    const server = createTcpServer((socket) => {
      resolve(undefined);
      socket
        .on('error', () => undefined)
        .on('close', () => close(undefined))
        .resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const controller = new AbortController();
    const remote = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.git`;
    const work = rig.open().fetch({ remote, ...defaults, signal: controller.signal });
    await connected;
    const reason = new Error('stopped by the test');
    controller.abort(reason);
    await expect(work).rejects.toBe(reason);
    await closed;
    server.close();
  });
});
