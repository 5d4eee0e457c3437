import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_SECRET_SIZE, openSecrets, type SecretRequest } from '../../src/source/secrets.ts';
import type { SshRequest } from '../../src/source/ssh.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

const open = (
  secrets: readonly SecretRequest[],
  o: { env?: Record<string, string>; cwd?: string; ssh?: readonly SshRequest[] } = {},
) => openSecrets({ secrets, ssh: o.ssh ?? [], env: o.env ?? {}, cwd: o.cwd ?? '/', tmp: tmpdir() });
const text = async (value: Promise<Uint8Array | undefined>): Promise<string | undefined> => {
  const bytes = await value;
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
};

const file = (path: string): SecretRequest => ({ id: path, from: { kind: 'file', path } });

describe('secrets', () => {
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

  it('agent: a socket given by path or by SSH_AUTH_SOCK is reached through one of our own', async () => {
    await using folder = await temporaryDirectory();
    const socket = join(folder.path, 'agent');
    const server = createServer((connection) => connection.end()).listen(socket);
    await once(server, 'listening');
    const ssh = [
      { id: 'default', paths: [] },
      { id: 'other', paths: ['agent'] },
    ];
    await using secrets = open([], { ssh, env: { SSH_AUTH_SOCK: socket }, cwd: folder.path });
    for (const id of ['default', 'other']) {
      const own = await secrets.lookupAgent(id);
      expect(own).not.toBe(socket);
      expect(await secrets.lookupAgent(id)).toBe(own);
      const reached = once(server, 'connection');
      const client = connect(own ?? '').resume();
      await reached;
      client.end();
      await once(client, 'close');
    }
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
    ];
    await using secrets = open([], { ssh, cwd: folder.path });
    expect(await codeOf(secrets.lookupAgent('none'))).toBe('SSH_NOT_FOUND');
    expect(await codeOf(secrets.lookupAgent('gone'))).toBe('SSH_NOT_FOUND');
    expect(await codeOf(secrets.lookupAgent('key'))).toBe('SSH_KEY_INVALID');
  });
});
