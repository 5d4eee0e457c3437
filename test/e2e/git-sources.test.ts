import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { COMMIT_SECONDS, openGitDaemon, openGitRepository, serveGit } from '../support/git-repository.ts';
import { describeWith } from '../support/requires.ts';
import { openRig, ranSteps, type Rig } from '../support/rig.ts';
import { checkProgram, type ProgramResult } from '../support/run-program.ts';

/** Builds a Dockerfile of these lines; its files come to `out` of the work directory, with the times that they have in the image. */
async function build(rig: Rig, lines: readonly string[], args: readonly string[] = []): Promise<ProgramResult> {
  const context = join(rig.work, 'context');
  await checkProgram('mkdir', ['-p', context]);
  await writeFile(join(context, 'Dockerfile'), ['FROM scratch', ...lines].join('\n'));
  return rig.run(['build', ...outputOf(rig), ...args, context]);
}

function outputOf(rig: Rig): readonly string[] {
  return ['--progress=rawjson', '-o', `type=tar,dest=${join(rig.work, 'out.tar')}`];
}

/** What tar lists: mode, owner, size, time and name; times in UTC. */
async function listed(rig: Rig): Promise<readonly string[]> {
  const text = await checkProgram('tar', [
    '-tvf',
    join(rig.work, 'out.tar'),
    '--utc',
    '--full-time',
    '--numeric-owner',
  ]);
  return text.trim().split('\n');
}

async function names(rig: Rig): Promise<readonly string[]> {
  const text = await checkProgram('tar', ['-tf', join(rig.work, 'out.tar')]);
  return text.trim().split('\n').toSorted();
}

function read(rig: Rig, name: string): Promise<string> {
  return checkProgram('tar', ['-xOf', join(rig.work, 'out.tar'), name]);
}

async function openServed(): Promise<
  AsyncDisposable & { readonly url: string; readonly repository: Awaited<ReturnType<typeof openGitRepository>> }
> {
  await using opened = new AsyncDisposableStack();
  const repository = opened.use(await openGitRepository());
  const server = opened.use(await serveGit(repository.folder));
  const kept = opened.move();
  return { url: `${server.url}/.git`, repository, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

describeWith(['root', 'git'], 'e2e ADD of a git repository', () => {
  it('refs, folders and queries: each takes what it names, and none has a .git', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    const { repository, url } = served;
    const first = await repository.commit({
      'f.txt': 'first',
      'sub/deep/g.txt': 'g',
      run: { program: '#!/bin/sh\n' },
      link: { link: 'f.txt' },
    });
    await repository.git('tag', 'v1');
    await repository.git('branch', 'old');
    await repository.commit({ 'f.txt': 'second' });
    const result = await build(rig, [
      `ADD ${url} /head`,
      `ADD ${url}#v1 /tag/`,
      `ADD ${url}#old:sub /branch`,
      `ADD ${url}#${first} /commit`,
      `ADD ${url}?tag=v1&subdir=sub/deep /query`,
      `ADD ${url}?branch=old /by-branch`,
      `ADD ${url}?commit=${first} /by-commit`,
    ]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect((await names(rig)).filter((name) => !name.endsWith('/'))).toEqual(
      [
        ...['head', 'tag', 'commit', 'by-branch', 'by-commit'].flatMap((to) =>
          ['f.txt', 'link', 'run', 'sub/deep/g.txt'].map((name) => `${to}/${name}`),
        ),
        'branch/deep/g.txt',
        'query/g.txt',
      ].toSorted(),
    );
    expect(await read(rig, 'head/f.txt')).toBe('second');
    for (const to of ['tag', 'commit', 'by-branch', 'by-commit']) expect(await read(rig, `${to}/f.txt`)).toBe('first');
    const lines = await listed(rig);
    const modeOf = (name: string): string | undefined =>
      lines
        .find((line) => line.split(' ').includes(name))
        ?.split(/\s+/)
        .slice(0, 2)
        .join(' ');
    expect(modeOf('head/f.txt')).toBe('-rw-r--r-- 0/0');
    expect(modeOf('head/run')).toBe('-rwxr-xr-x 0/0');
    expect(modeOf('head/sub/')).toBe('drwxr-xr-x 0/0');
  });

  it('--keep-git-dir and mtime=commit: the history comes along, and times are the commit’s', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    const commit = await served.repository.commit({ 'f.txt': 'x' });
    const result = await build(rig, [
      `ADD --keep-git-dir=true ${served.url} /kept`,
      `ADD ${served.url}?keep-git-dir=1&mtime=commit /query`,
    ]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    const out = join(rig.work, 'unpacked');
    await checkProgram('sh', ['-c', `mkdir ${out} && tar -xf ${join(rig.work, 'out.tar')} -C ${out}`]);
    for (const to of ['kept', 'query']) {
      const git = ['-c', 'safe.directory=*', '-C', join(out, to)];
      expect(await checkProgram('git', [...git, 'rev-parse', 'HEAD'])).toBe(`${commit}\n`);
      expect(await checkProgram('git', [...git, 'status', '--porcelain'])).toBe('');
    }
    const time = new Date(COMMIT_SECONDS * 1000).toISOString().slice(0, 19).replace('T', ' ');
    expect((await listed(rig)).find((line) => line.endsWith(' query/f.txt'))).toContain(time);
  });

  it('submodules: come along, or not', async () => {
    await using rig = await openRig();
    await using inner = await openServed();
    await inner.repository.commit({ 'in.txt': 'inner' });
    await using outer = await openServed();
    await outer.repository.commit({ 'out.txt': 'outer' });
    await outer.repository.git('submodule', '--quiet', 'add', inner.url, 'sub');
    await outer.repository.commit({});
    const result = await build(rig, [`ADD ${outer.url} /with`, `ADD ${outer.url}?submodules=false /without`]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    const all = await names(rig);
    expect(all).toContain('with/sub/in.txt');
    expect(all.filter((name) => name.startsWith('without/sub/'))).toEqual(['without/sub/']);
    expect(all.filter((name) => name.includes('.git/'))).toEqual([]);
  });

  it('--checksum: a start of the commit will do, another is refused', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    const commit = await served.repository.commit({ 'f.txt': 'x' });
    const good = await build(rig, [
      `ADD --checksum=${commit.slice(0, 8)} ${served.url}#main /a`,
      `ADD ${served.url}?checksum=${commit} /b`,
    ]);
    expect(good, good.stderr).toMatchObject({ status: 0 });
    const bad = await build(rig, [`ADD --checksum=${'0'.repeat(40)} ${served.url}#main /a`]);
    expect(bad.status).toBe(1);
    expect(bad.stderr).toContain('Dockerfile:2:1');
    expect(bad.stderr).toMatch(
      new RegExp(`error DIGEST_MISMATCH: git .*#main has digest ${commit}, but 0{40} was expected`),
    );
  });

  it('the cache: knows the commit, not the ref; a new commit runs the step', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    const first = await served.repository.commit({ 'f.txt': 'x' });
    const hasRun = async (): Promise<boolean> =>
      ranSteps((await build(rig, [`ADD ${served.url}#main /a`])).stderr).length > 0;
    expect(await hasRun()).toBe(true);
    expect(await hasRun()).toBe(false);
    await served.repository.commit({ 'f.txt': 'y' });
    expect(await hasRun()).toBe(true);
    expect(await read(rig, 'a/f.txt')).toBe('y');
    await served.repository.git('reset', '--quiet', '--hard', first);
    expect(await hasRun()).toBe(false);
    expect(await read(rig, 'a/f.txt')).toBe('x');
  });

  it('what cannot be: is refused with its place', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    await served.repository.commit({ 'f.txt': 'x', up: { link: '/etc' } });
    const refused = async (source: string): Promise<string> => {
      const { status, stderr } = await build(rig, [`ADD ${source} /a`]);
      expect(status, source).toBe(1);
      expect(stderr, source).toMatch(/Dockerfile:2:\d/);
      return stderr;
    };
    expect(await refused(`${served.url}#nothing`)).toContain('there is no ref "nothing"');
    expect(await refused(`${served.url}#main:up`)).toContain('"up" is not a directory of the repository');
    expect(await refused(`${served.url}#main:../..`)).toContain('the folder "../.." leaves the repository');
    expect(await refused(`${served.url}#-upload-pack=x`)).toContain('a ref must not begin with a dash');
    expect(await refused(`${served.url}?colour=red`)).toContain('unexpected query "colour"');
    expect(await refused(served.url.replace('.git', 'no.git'))).toContain('GIT_FAILED');
  });

  it('git://: is taken from a git daemon', async () => {
    await using rig = await openRig();
    await using repository = await openGitRepository();
    await repository.commit({ 'f.txt': 'by daemon' });
    await using daemon = await openGitDaemon(repository.folder);
    const result = await build(rig, [`ADD ${daemon.url}/.git /a`]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect(await read(rig, 'a/f.txt')).toBe('by daemon');
  });
});

describeWith(['root', 'git'], 'e2e git repositories as contexts', () => {
  const dockerfile = 'FROM scratch\nCOPY . /all\n';

  it('a repository: its Dockerfile is built with its files, whatever its ignore file says', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    await served.repository.commit({
      Dockerfile: dockerfile,
      'f.txt': 'x',
      '.dockerignore': 'f.txt\n',
      'sub/Other': dockerfile,
      'sub/g.txt': 'g',
    });
    await served.repository.git('tag', 'v1');
    await served.repository.commit({ 'f.txt': 'newer' });
    const run = async (...args: readonly string[]): Promise<readonly string[]> => {
      const { stderr, status } = await rig.run(['build', ...outputOf(rig), ...args]);
      expect(status, stderr).toBe(0);
      return (await names(rig)).filter((name) => !name.endsWith('/'));
    };
    const all = ['all/.dockerignore', 'all/Dockerfile', 'all/f.txt', 'all/sub/Other', 'all/sub/g.txt'];
    expect(await run(`${served.url}#v1`)).toEqual(all);
    expect(await read(rig, 'all/f.txt')).toBe('x');
    expect(await run(served.url)).toEqual(all);
    expect(await read(rig, 'all/f.txt')).toBe('newer');
    expect(await run('-f', 'Other', `${served.url}#main:sub`)).toEqual(['all/Other', 'all/g.txt']);
    expect(await run('-f', 'Other', `${served.url}?tag=v1&subdir=sub`)).toEqual(['all/Other', 'all/g.txt']);
    const kept = await run('--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', served.url);
    expect(kept).toContain('all/.git/HEAD');
  });

  it('a named context: is one too', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    await served.repository.commit({ 'sub/f.txt': 'named' });
    const result = await build(rig, ['COPY --from=src f.txt /'], ['--build-context', `src=${served.url}#main:sub`]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect(await read(rig, 'f.txt')).toBe('named');
  });

  it('nothing is left in the store but the checkouts', async () => {
    await using rig = await openRig();
    await using served = await openServed();
    await served.repository.commit({ Dockerfile: dockerfile });
    await rig.succeed(['build', ...outputOf(rig), served.url]);
    const bad = await rig.run(['build', ...outputOf(rig), `${served.url}#nothing`]);
    expect(bad.status).toBe(1);
    expect(bad.stderr).toContain('there is no ref "nothing"');
    expect(
      await readFile(
        join(rig.store, 'git/trees', (await readdir(join(rig.store, 'git/trees')))[0] ?? '', 'Dockerfile'),
        'utf8',
      ),
    ).toBe(dockerfile);
  });
});
