import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseMirrors, readClientConfig } from '../../src/source/client-config.ts';
import { redactText, redactUrl } from '../../src/source/redact.ts';
import { MAX_SECRET_SIZE, openSecrets, type SecretRequest } from '../../src/source/secrets.ts';
import type { SshRequest } from '../../src/source/ssh.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

describe('client config', () => {
  it('nothing is configured by default', async () => {
    await using home = await temporaryDirectory();
    expect(await readClientConfig({}, home.path)).toEqual({
      registryMirrors: new Map(),
      insecureRegistries: [],
      dockerConfigPath: join(home.path, '.docker/config.json'),
      store: undefined,
    });
  });
  it('the environment comes before the file', async () => {
    await using home = await temporaryDirectory();
    await mkdir(join(home.path, 'xdg/tsbuild'), { recursive: true });
    const file = {
      registryMirrors: { 'docker.io': ['file.example'], 'quay.io': 'q.example' },
      insecureRegistries: ['b'],
      store: '/f',
    };
    await writeFile(join(home.path, 'xdg/tsbuild/config.json'), JSON.stringify(file));
    const env = {
      XDG_CONFIG_HOME: join(home.path, 'xdg'),
      TSBUILD_REGISTRY_MIRRORS: 'docker.io=127.0.0.1:5000, docker.io=127.0.0.1:5001',
      TSBUILD_INSECURE_REGISTRIES: 'a,',
      TSBUILD_STORE: '/e',
      DOCKER_CONFIG: '/d',
    };
    expect(await readClientConfig(env, home.path)).toEqual({
      registryMirrors: new Map([
        ['docker.io', ['127.0.0.1:5000', '127.0.0.1:5001', 'file.example']],
        ['quay.io', ['q.example']],
      ]),
      insecureRegistries: ['a', 'b'],
      dockerConfigPath: '/d/config.json',
      store: '/e',
    });
  });
  it.each([
    ['{', /is not valid/],
    ['{"registryMirrors":[]}', /registryMirrors/],
    ['{"registryMirors":{}}', /registryMirors/],
    ['{"insecureRegistries":[1]}', /insecureRegistries\.0/],
  ])('the file %j is refused', async (text, message) => {
    await using home = await temporaryDirectory();
    await mkdir(join(home.path, '.config/tsbuild'), { recursive: true });
    await writeFile(join(home.path, '.config/tsbuild/config.json'), text);
    await expect(readClientConfig({}, home.path)).rejects.toThrow(message);
  });
  it.each(['docker.io', 'docker.io=', '=x', 'a=b,c'])('mirrors %j are refused', (text) => {
    expect(() => parseMirrors(text)).toThrow(/invalid registry mirror/);
  });
});

describe('secrets', () => {
  const open = (
    secrets: readonly SecretRequest[],
    o: { env?: Record<string, string>; cwd?: string; ssh?: readonly SshRequest[] } = {},
  ) => openSecrets({ secrets, ssh: o.ssh ?? [], env: o.env ?? {}, cwd: o.cwd ?? '/' });
  const text = async (value: Promise<Uint8Array | undefined>): Promise<string | undefined> => {
    const bytes = await value;
    return bytes === undefined ? undefined : Buffer.from(bytes).toString();
  };

  it('come from values, variables and files', async () => {
    await using folder = await temporaryDirectory();
    await writeFile(join(folder.path, 'token'), 'from a file\n');
    const secrets = open(
      [
        { id: 'value', from: { kind: 'value', value: Buffer.from('given') } },
        { id: 'env', from: { kind: 'env', name: 'TOKEN' } },
        { id: 'file', from: { kind: 'file', path: 'token' } },
      ],
      { env: { TOKEN: 'from a variable' }, cwd: folder.path },
    );
    expect(secrets.values()).toEqual([]);
    expect(await text(secrets.lookup('value'))).toBe('given');
    expect(await text(secrets.lookup('env'))).toBe('from a variable');
    expect(await text(secrets.lookup('file'))).toBe('from a file\n');
    expect(await secrets.lookup('unknown')).toBeUndefined();
    expect(secrets.values().map(String)).toHaveLength(3);
  });
  it('auto: the variable, else the file of that name', async () => {
    await using folder = await temporaryDirectory();
    await writeFile(join(folder.path, 'token'), 'file');
    const auto = [{ id: 'token', from: { kind: 'auto' } }] as const;
    expect(await text(open(auto, { cwd: folder.path }).lookup('token'))).toBe('file');
    expect(await text(open(auto, { cwd: folder.path, env: { token: 'variable' } }).lookup('token'))).toBe('variable');
  });
  it('are read once and counted once', async () => {
    const secrets = open([{ id: 'a', from: { kind: 'value', value: Buffer.from('x') } }]);
    await Promise.all([secrets.lookup('a'), secrets.lookup('a')]);
    expect(secrets.values()).toHaveLength(1);
  });
  it('of 500 KiB are accepted, larger ones are not', async () => {
    await using folder = await temporaryDirectory();
    await writeFile(join(folder.path, 'good'), Buffer.alloc(MAX_SECRET_SIZE));
    await writeFile(join(folder.path, 'bad'), Buffer.alloc(MAX_SECRET_SIZE + 1));
    const file = (path: string): SecretRequest => ({ id: path, from: { kind: 'file', path } });
    const secrets = open([file('good'), file('bad'), file('/dev/zero')], { cwd: folder.path });
    expect((await secrets.lookup('good'))?.byteLength).toBe(MAX_SECRET_SIZE);
    expect(await codeOf(secrets.lookup('bad'))).toBe('DOCUMENT_INVALID');
    expect(await codeOf(secrets.lookup('/dev/zero'))).toBe('DOCUMENT_INVALID');
  });
  it('that are not there are an error when they are wanted', async () => {
    const secrets = open([
      { id: 'env', from: { kind: 'env', name: 'NO_SUCH' } },
      { id: 'file', from: { kind: 'file', path: '/no/such/file' } },
    ]);
    expect(await codeOf(secrets.lookup('env'))).toBe('SECRET_NOT_FOUND');
    expect(await codeOf(secrets.lookup('file'))).toBe('SECRET_NOT_FOUND');
  });

  it('agent: a socket given by path or by SSH_AUTH_SOCK', async () => {
    await using folder = await temporaryDirectory();
    const socket = join(folder.path, 'agent');
    const server = createServer().listen(socket);
    await once(server, 'listening');
    const ssh = [
      { id: 'default', paths: [] },
      { id: 'other', paths: ['agent'] },
    ];
    const secrets = open([], { ssh, env: { SSH_AUTH_SOCK: socket }, cwd: folder.path });
    expect(await secrets.lookupAgent('default')).toBe(socket);
    expect(await secrets.lookupAgent('other')).toBe(socket);
    expect(await secrets.lookupAgent('unknown')).toBeUndefined();
    server.close();
    await once(server, 'close');
  });
  it('agent: what cannot be one is an error', async () => {
    await using folder = await temporaryDirectory();
    await writeFile(join(folder.path, 'id_rsa'), 'key');
    const ssh = [
      { id: 'none', paths: [] },
      { id: 'gone', paths: ['gone'] },
      { id: 'key', paths: ['id_rsa'] },
      { id: 'keys', paths: ['id_rsa', 'id_rsa'] },
    ];
    const secrets = open([], { ssh, cwd: folder.path });
    expect(await codeOf(secrets.lookupAgent('none'))).toBe('SSH_NOT_FOUND');
    expect(await codeOf(secrets.lookupAgent('gone'))).toBe('SSH_NOT_FOUND');
    expect(await codeOf(secrets.lookupAgent('key'))).toBe('UNSUPPORTED');
    expect(await codeOf(secrets.lookupAgent('keys'))).toBe('UNSUPPORTED');
  });
});

describe('redaction', () => {
  it.each([
    ['https://ann:secret@h.example/a?token=abc&x=1#f', 'https://h.example/a?token=xxxxx&x=xxxxx#f'],
    ['git@h.example:a/b.git', 'git@h.example:a/b.git'],
    ['https://h.example/a', 'https://h.example/a'],
  ])('%s', (url, expected) => expect(redactUrl(url)).toBe(expected));
  it('text: loses secrets, the longest first, and logins', () => {
    expect(redactText("can't open https://a:b@h/x with abcdef", ['abc', 'abcdef'])).toBe(
      "can't open https://h/x with xxxxx",
    );
  });
});
