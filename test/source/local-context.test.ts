import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { BuildError } from '../../src/core/error.ts';
import type { TarEntry } from '../../src/oci/tar-header.ts';
import { packTar } from '../../src/oci/tar-writer.ts';
import { openTransport } from '../../src/registry/transport.ts';
import { decompressByProgram } from '../../sandbox/decompress-program.ts';
import { openGitSource } from '../../src/source/git.ts';
import { type BuildContext, type ContextRequest, imageContext, openContext } from '../../src/source/local-context.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { openFileServer } from '../support/file-server.ts';
import { openGitRepository, serveGit } from '../support/git-repository.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram } from '../support/run-program.ts';
import { fetchedTreesIn, chunked, temporaryDirectory } from '../support/store-rig.ts';

interface Rig extends AsyncDisposable {
  /** The working directory of the person who builds. */
  readonly cwd: string;
  readonly tmp: string;
  write(files: Readonly<Record<string, string>>): Promise<void>;
  open(request: Partial<ContextRequest>): Promise<BuildContext>;
}

async function openContextRig(): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const [cwd, tmp] = [join(path, 'cwd'), join(path, 'tmp')];
  await mkdir(cwd);
  const http = stack.use(openTransport({ userAgent: 'test', limits: { backoffMs: 1 } }));
  const secrets = { lookup: async () => undefined, lookupAgent: async () => undefined };
  const ports = {
    http,
    tmp,
    git: openGitSource({
      trees: fetchedTreesIn(join(path, 'git'), tmp),
      tmp,
      secrets,
      fileProtocol: 'allow',
    }),
    decompressByProgram,
    parseIgnoreFile: (text: Uint8Array) => {
      const ignore = Buffer.from(text)
        .toString()
        .split('\n')
        .filter((line) => line !== '');
      return { ignore, ignoreLines: ignore.map((_, index) => index + 1) };
    },
  };
  return {
    cwd,
    tmp,
    write: async (files) => {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(cwd, name)), { recursive: true });
        await writeFile(join(cwd, name), content);
      }
    },
    open: (request) =>
      openContext(ports, {
        name: 'context',
        cwd,
        dockerfile: { kind: 'default' },
        input: {
          kind: 'location',
          location: '.',
        },
        ...request,
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const text = ({ dockerfile }: BuildContext): string => Buffer.from(dockerfile?.bytes ?? []).toString();
const at = (location: string) => ({ input: { kind: 'location', location } }) as const;
const path = (name: string) => ({ dockerfile: { kind: 'path', path: name } }) as const;

describe('context: a directory', () => {
  it('is used where it is, with its Dockerfile and ignore file', async () => {
    await using rig = await openContextRig();
    await rig.write({ 'ctx/Dockerfile': 'FROM a', 'ctx/.dockerignore': 'x\n!y\n' });
    await using context = await rig.open(at('ctx'));
    const root = join(rig.cwd, 'ctx');
    expect(context.tree).toEqual({
      kind: 'local',
      name: 'context',
      root,
      ignore: ['x', '!y'],
      ignoreLines: [1, 2],
      ignoreFile: '.dockerignore',
    });
    expect(context.dockerfile).toEqual({ bytes: Buffer.from('FROM a'), path: 'Dockerfile' });
    expect(context.origin).toBe('here');
  });
  it('Dockerfile, dockerfile and Containerfile are looked for, in this order', async () => {
    await using rig = await openContextRig();
    expect(await codeOf(rig.open({}))).toBe('DOCKERFILE_NOT_FOUND');
    for (const name of ['Containerfile', 'dockerfile', 'Dockerfile']) {
      await rig.write({ [name]: name });
      await using context = await rig.open({});
      expect(text(context)).toBe(name);
      expect(context.dockerfile?.path).toBe(name);
    }
  });
  it('-f is relative to the working directory, and may be outside the context', async () => {
    await using rig = await openContextRig();
    await rig.write({ 'ctx/a': '', 'files/Dev': 'FROM dev' });
    await using context = await rig.open({ ...at('ctx'), ...path('files/Dev') });
    expect(context.dockerfile).toEqual({ bytes: Buffer.from('FROM dev'), path: 'files/Dev' });
    expect(await codeOf(rig.open({ ...at('ctx'), ...path('Dev') }))).toBe('DOCKERFILE_NOT_FOUND');
    expect(await codeOf(rig.open({ ...at('ctx'), ...path('files') }))).toBe('DOCKERFILE_NOT_FOUND');
  });
  it("the Dockerfile's own ignore file replaces the context's, wherever it is", async () => {
    await using rig = await openContextRig();
    await rig.write({
      'ctx/Dockerfile': '',
      'ctx/.dockerignore': 'general',
      'files/Dev': '',
      'files/Dev.dockerignore': 'of dev',
    });
    await using dev = await rig.open({ ...at('ctx'), ...path('files/Dev') });
    expect(dev.tree).toMatchObject({ ignore: ['of dev'], ignoreFile: 'Dev.dockerignore' });
    await rig.write({ 'ctx/Dockerfile.dockerignore': 'own' });
    await using own = await rig.open(at('ctx'));
    expect(own.tree).toMatchObject({ ignore: ['own'], ignoreFile: 'Dockerfile.dockerignore' });
    await using given = await rig.open({
      ...at('ctx'),
      dockerfile: { kind: 'text', name: 'stdin', text: Buffer.from('FROM b') },
    });
    expect(given.tree.ignore).toEqual(['general']);
    expect(given.dockerfile?.path).toBe('stdin');
    await using named = await rig.open({ name: 'other', input: at('ctx').input, dockerfile: undefined });
    expect(named.tree).toMatchObject({ name: 'other', ignore: ['general'] });
    expect(named.dockerfile).toBeUndefined();
  });
  it('a default Dockerfile that is a link is resolved inside the context', async () => {
    await using rig = await openContextRig();
    await rig.write({ 'ctx/real': 'FROM real', outside: 'OUTSIDE' });
    await symlink('/real', join(rig.cwd, 'ctx/Dockerfile'));
    await using context = await rig.open(at('ctx'));
    expect(text(context)).toBe('FROM real');
    await symlink('../outside', join(rig.cwd, 'ctx/dockerfile'));
    await rig.write({ 'other/x': '' });
    await symlink('../outside', join(rig.cwd, 'other/Dockerfile'));
    expect(await codeOf(rig.open(at('other')))).toBe('DOCKERFILE_NOT_FOUND');
  });
  it('a FIFO or a directory as Dockerfile is refused', async () => {
    await using rig = await openContextRig();
    await mkdir(join(rig.cwd, 'Dockerfile'));
    expect(await codeOf(rig.open({}))).toBe('PATH_INVALID');
    await rig.write({ 'ctx/x': '' });
    await checkProgram('mkfifo', [join(rig.cwd, 'ctx/Dockerfile')]);
    expect(await codeOf(rig.open(at('ctx')))).toBe('PATH_INVALID');
  });
  it('a file, or nothing, is no context', async () => {
    await using rig = await openContextRig();
    await rig.write({ file: '' });
    expect(await codeOf(rig.open(at('file')))).toBe('CONTEXT_NOT_FOUND');
    expect(await codeOf(rig.open(at('nothing')))).toBe('CONTEXT_NOT_FOUND');
  });
  it('no context is an empty one', async () => {
    await using rig = await openContextRig();
    await rig.write({ Dockerfile: 'FROM cwd' });
    const context = await rig.open({ input: { kind: 'empty' }, ...path('Dockerfile') });
    expect(await readdir(context.tree.root)).toEqual([]);
    expect(text(context)).toBe('FROM cwd');
    await context[Symbol.asyncDispose]();
    expect(await readdir(rig.tmp)).toEqual([]);
  });
});

/** An archive of entries, files by default. */
async function tar(
  entries: readonly (Partial<Omit<TarEntry, 'path'>> & { path: string; content?: string })[],
): Promise<Buffer> {
  async function* items(): AsyncGenerator<{ entry: TarEntry; body?: AsyncIterable<Uint8Array> }> {
    for (const { path: name, content = '', ...rest } of entries) {
      const bytes = Buffer.from(content);
      const entry: TarEntry = {
        path: Buffer.from(name),
        type: 'file',
        mode: 420,
        uid: 7,
        gid: 8,
        size: bytes.length,
        mtime: {
          seconds: 1e3,
          nanoseconds: 0,
        },
        xattrs: new Map(),
        ...rest,
      };
      yield { entry, ...(entry.type === 'file' && { body: chunked(bytes, 100) }) };
    }
  }
  return Buffer.concat(await Array.fromAsync(packTar(items())));
}

/** Makes the checksum of the first header true again. */
function withChecksum(bytes: Buffer): Buffer {
  bytes.write('        ', 148, 'latin1');
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

const stream = (bytes: Uint8Array | string) => ({ input: { kind: 'tar', bytes: chunked(bytes, 1000) } }) as const;

describe('context: a stream', () => {
  const entries = [
    { path: 'dir', type: 'directory', mode: 0o500 },
    { path: 'dir/run', mode: 0o755, content: 'program' },
    { path: 'Dockerfile', content: 'FROM tar' },
    { path: '.dockerignore', content: '*' },
    { path: 'sub/Dev', content: 'FROM dev' },
    { path: 'link', type: 'symlink', linkPath: Buffer.from('/etc/passwd'), mode: 0o777 },
    { path: 'hard', type: 'hardlink', linkPath: Buffer.from('dir/run') },
  ] as const;

  it.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('%s: is unpacked into a private directory, which goes in the end', async (_, compress) => {
    await using rig = await openContextRig();
    const context = await rig.open(stream(compress(await tar(entries))));
    const { root } = context.tree;
    expect(text(context)).toBe('FROM tar');
    expect(context.origin).toBe('fetched');
    // Nobody can have put an ignore file there for the archive's sake.
    expect(context.tree.ignore).toEqual([]);
    expect(lstatSync(root).mode & 0o777).toBe(0o700);
    expect(lstatSync(join(root, 'dir')).mode & 0o777).toBe(0o500);
    expect(lstatSync(join(root, 'dir/run'))).toMatchObject({ mode: 0o100755, mtimeMs: 1_000_000, nlink: 2 });
    expect(lstatSync(join(root, 'dir')).mtimeMs).toBe(1_000_000);
    expect(readlinkSync(join(root, 'link'))).toBe('/etc/passwd');
    expect(readFileSync(join(root, 'hard'), 'utf8')).toBe('program');
    await context[Symbol.asyncDispose]();
    expect(existsSync(root)).toBe(false);
    await using dev = await rig.open({ ...stream(await tar(entries)), ...path('sub/Dev') });
    expect(text(dev)).toBe('FROM dev');
  });
  it('that is no archive is a Dockerfile with an empty context', async () => {
    await using rig = await openContextRig();
    for (const dockerfile of ['', 'FROM x', `FROM x\n${'# long\n'.repeat(1000)}`]) {
      await using context = await rig.open(stream(dockerfile));
      expect(text(context)).toBe(dockerfile);
      expect(context.dockerfile?.path).toBe('Dockerfile');
      expect(await readdir(context.tree.root)).toEqual([]);
    }
  });
  it('of zeros is an empty archive', async () => {
    await using rig = await openContextRig();
    expect(await codeOf(rig.open(stream(Buffer.alloc(10_240))))).toBe('DOCKERFILE_NOT_FOUND');
  });
  it.each([
    ['compressed text', gzipSync('FROM x'), 'ARCHIVE_INVALID'],
    ['a broken gzip', gzipSync('FROM x').subarray(0, 12), 'ARCHIVE_INVALID'],
    ['a broken xz', Buffer.from('fd377a585a000004', 'hex'), 'ARCHIVE_INVALID'],
    ['a broken bzip2', Buffer.from('BZh91AY&SY'), 'ARCHIVE_INVALID'],
  ])('of %s is refused', async (_, bytes, code) => {
    await using rig = await openContextRig();
    expect(await codeOf(rig.open(stream(bytes)))).toBe(code);
    expect(await readdir(rig.tmp).catch(() => [])).toEqual([]);
  });
  it('that ends early is refused', async () => {
    await using rig = await openContextRig();
    const bytes = await tar([{ path: 'a', content: 'x'.repeat(5000) }]);
    expect(await codeOf(rig.open(stream(bytes.subarray(0, 2000))))).toBe('ARCHIVE_INVALID');
    expect(await readdir(rig.tmp)).toEqual([]);
  });
});

/** A symbolic link as an archive's entry. */
const link = (name: string, target: string) =>
  ({ path: name, type: 'symlink', linkPath: Buffer.from(target), mode: 0o777 }) as const;

describe('context: a hostile archive', () => {
  it.each([
    ['writes through a link', [link('a', '/tmp'), { path: 'a/evil', content: 'x' }]],
    ['writes through a link deeper down', [link('d/a', '..'), { path: 'd/a/evil', content: 'x' }]],
    ['makes a directory of a link', [link('a', '/tmp'), { path: 'a', type: 'directory' }, { path: 'a/evil' }], 'ok'],
    ['links hard to a file outside', [{ path: 'a', type: 'hardlink', linkPath: Buffer.from('etc/passwd') }]],
    [
      'links hard through a link',
      [link('a', '/etc'), { path: 'b', type: 'hardlink', linkPath: Buffer.from('a/passwd') }],
    ],
    ['links hard to a link', [link('a', '/etc/passwd'), { path: 'b', type: 'hardlink', linkPath: Buffer.from('a') }]],
    ['replaces a directory by a link', [{ path: 'a', type: 'directory' }, link('a', '/tmp')]],
    ['puts a file below a file', [{ path: 'a' }, { path: 'a/b' }]],
  ] as const)('that %s', async (_, entries, outcome: string = 'ARCHIVE_INVALID') => {
    await using rig = await openContextRig();
    const bytes = await tar([...entries, { path: 'Dockerfile', content: 'FROM x' }]);
    const result = rig.open(stream(bytes));
    if (outcome === 'ok') await (await result)[Symbol.asyncDispose]();
    else expect(await codeOf(result)).toBe(outcome);
    expect(existsSync('/tmp/evil')).toBe(false);
    expect(await readdir(rig.tmp)).toEqual([]);
  });
  it.each([
    ['character device', '3'],
    ['block device', '4'],
    ['FIFO', '6'],
  ])('a %s is refused', async (_, flag) => {
    await using rig = await openContextRig();
    const bytes = await tar([{ path: 'a' }]);
    bytes.write(flag, 156, 'latin1');
    expect(await codeOf(rig.open(stream(withChecksum(bytes))))).toBe('ARCHIVE_INVALID');
  });
  it('a file over a link replaces the link, not what it points to', async () => {
    await using rig = await openContextRig();
    const victim = join(rig.cwd, 'victim');
    await writeFile(victim, 'untouched');
    await using context = await rig.open(
      stream(await tar([link('Dockerfile', victim), { path: 'Dockerfile', content: 'FROM x' }])),
    );
    expect(text(context)).toBe('FROM x');
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
  });
  it('a Dockerfile that is a link out of the archive is not found', async () => {
    await using rig = await openContextRig();
    expect(await codeOf(rig.open(stream(await tar([link('Dockerfile', '/etc/passwd')]))))).toBe('DOCKERFILE_NOT_FOUND');
    const bytes = await tar([link('d', '/etc'), { path: 'Dockerfile' }]);
    expect(await codeOf(rig.open({ ...stream(bytes), ...path('d/passwd') }))).toBe('DOCKERFILE_NOT_FOUND');
    expect(await codeOf(rig.open({ ...stream(await tar([{ path: 'a' }])), ...path('../../cwd/x') }))).toBe(
      'DOCKERFILE_NOT_FOUND',
    );
  });
  it.each(['../evil', 'a/../../evil', '/../evil'])('GNU tar with the name %s writes nothing outside', async (name) => {
    await using rig = await openContextRig();
    const bytes = Buffer.from(await tar([{ path: 'x'.repeat(name.length), content: 'evil' }]));
    bytes.write(name, 0, 'latin1');
    withChecksum(bytes);
    const result = await rig.open(stream(bytes)).then(
      () => 'opened',
      (error: unknown) => (error as BuildError).code,
    );
    expect(['ARCHIVE_INVALID', 'DOCKERFILE_NOT_FOUND']).toContain(result);
    expect(existsSync(join(rig.tmp, 'evil'))).toBe(false);
    expect(existsSync(join(rig.tmp, '../evil'))).toBe(false);
  });
});

describe('context: a URL', () => {
  it('of an archive is unpacked, of a text is the Dockerfile', async () => {
    await using rig = await openContextRig();
    await rig.write({ 'www/plain': 'FROM url' });
    await writeFile(join(rig.cwd, 'www/a.tar.gz'), gzipSync(await tar([{ path: 'Dockerfile', content: 'FROM tar' }])));
    await using server = await openFileServer(join(rig.cwd, 'www'));
    await using archive = await rig.open(at(`${server.url}/a.tar.gz`));
    expect(text(archive)).toBe('FROM tar');
    await using plain = await rig.open(at(`${server.url}/plain`));
    expect(text(plain)).toBe('FROM url');
    expect(await codeOf(rig.open(at(`${server.url}/nothing`)))).toBe('DOWNLOAD_FAILED');
    await using dockerfile = await rig.open({ ...at('.'), ...path(`${server.url}/plain`) });
    expect(text(dockerfile)).toBe('FROM url');
    await expect(rig.open({ ...at(`${server.url}/plain`), dockerfile: undefined })).rejects.toThrow(
      /not a tar archive/,
    );
  });
  it.each([
    ['docker-image://alpine:3', 'alpine:3'],
    ['oci-layout://x:v1', 'oci-layout://x:v1'],
    ['./dir', undefined],
    ['https://x/a.tar', undefined],
  ])('%s as a named context', (location, reference) => expect(imageContext(location)).toBe(reference));
});

describeWith(['git'], 'context: a repository', () => {
  it('is checked out; its Dockerfile is one of its files, its ignore file counts for nothing', async () => {
    await using rig = await openContextRig();
    await using repository = await openGitRepository();
    await repository.commit({
      Dockerfile: 'FROM git',
      'sub/Dev': 'FROM dev',
      '.dockerignore': '*',
      out: { link: '/etc/passwd' },
    });
    await using server = await serveGit(repository.folder);
    const remote = `${server.url}/.git`;
    await using context = await rig.open(at(`${remote}#main`));
    expect(text(context)).toBe('FROM git');
    expect(context.tree).toMatchObject({ name: 'context', ignore: [] });
    await using dev = await rig.open({ ...at(`${remote}#main:sub`), ...path('Dev') });
    expect(text(dev)).toBe('FROM dev');
    expect(await codeOf(rig.open({ ...at(remote), ...path('out') }))).toBe('DOCKERFILE_NOT_FOUND');
    await using kept = await rig.open({ ...at(remote), gitDir: 'keep' });
    expect(await readdir(kept.tree.root)).toContain('.git');
    await using dropped = await rig.open({ ...at(`${remote}?keep-git-dir=false`), gitDir: 'keep' });
    expect(await readdir(dropped.tree.root)).not.toContain('.git');
  });
  it('a URL that cannot be: is refused, and its login not shown', async () => {
    await using rig = await openContextRig();
    const failure = rig.open(at('https://ann:secret@h.example/b.git#-x'));
    await expect(failure).rejects.toThrow(/^git https:\/\/h\.example\/b\.git failed: a ref must not begin/);
  });
});
