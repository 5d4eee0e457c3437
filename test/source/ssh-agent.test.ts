import { generateKeyPairSync, verify } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { openSecrets } from '../../src/source/secrets.ts';
import { WireReader, wireString, wireUint32 } from '../../src/source/ssh-wire.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { describeWith } from '../support/requires.ts';
import { checkProgram, runProgram } from '../support/run-program.ts';
import { openSshAgent, sshKey } from '../support/ssh.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

/** An agent of these paths, as a build has it. */
async function openAgent(
  paths: readonly string[],
): Promise<AsyncDisposable & { readonly socket: string; readonly env: Record<string, string> }> {
  const secrets = openSecrets({ secrets: [], ssh: [{ id: 'default', paths }], env: {}, cwd: '/', tmp: tmpdir() });
  const socket = (await secrets.lookupAgent('default')) ?? '';
  return { socket, env: { SSH_AUTH_SOCK: socket }, [Symbol.asyncDispose]: () => secrets[Symbol.asyncDispose]() };
}

const kinds: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['ed25519', ['-t', 'ed25519']],
  ['ecdsa 256', ['-t', 'ecdsa', '-b', '256']],
  ['ecdsa 384', ['-t', 'ecdsa', '-b', '384']],
  ['ecdsa 521', ['-t', 'ecdsa', '-b', '521']],
  ['ecdsa, PEM of SEC 1', ['-t', 'ecdsa', '-m', 'PEM']],
  ['ecdsa, PEM of PKCS#8', ['-t', 'ecdsa', '-m', 'PKCS8']],
  ['rsa', ['-t', 'rsa', '-b', '2048']],
  ['rsa, PEM of PKCS#1', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
  ['rsa, PEM of PKCS#8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
];

describeWith(['ssh-add', 'ssh-keygen', 'ssh-agent'], 'ssh agent of key files', () => {
  it.each(kinds)('%s: is listed, and signs what others find true', async (_, args) => {
    await using folder = await temporaryDirectory();
    const key = await sshKey(join(folder.path, 'key'), args);
    await using agent = await openAgent([key.path]);
    const listed = await checkProgram('ssh-add', ['-L'], { env: agent.env });
    expect(listed.trim().split(' ').slice(0, 2)).toEqual(key.publicKey.split(' ').slice(0, 2));
    const text = join(folder.path, 'text');
    await writeFile(text, 'signed\n');
    await writeFile(join(folder.path, 'signers'), `ann ${key.publicKey}\n`);
    // The private file is away: only the agent can sign.
    await chmod(key.path, 0);
    await writeFile(key.path, '');
    await checkProgram('ssh-keygen', ['-Y', 'sign', '-f', `${key.path}.pub`, '-n', 'file', text], { env: agent.env });
    const found = ['-Y', 'verify', '-f', join(folder.path, 'signers'), '-I', 'ann', '-n', 'file', '-s', `${text}.sig`];
    expect(await checkProgram('ssh-keygen', found, { stdin: 'signed\n' })).toContain('Good "file" signature');
  });

  it('many signatures: numbers that begin with zeros or a high bit are written as they should be', async () => {
    await using folder = await temporaryDirectory();
    const key = await sshKey(join(folder.path, 'key'), ['-t', 'ecdsa', '-b', '521']);
    await using agent = await openAgent([key.path]);
    for (let i = 0; i < 64; i++) await checkProgram('ssh-add', ['-T', `${key.path}.pub`], { env: agent.env });
  });

  it('several keys: all are listed, in their order, with their comments', async () => {
    await using folder = await temporaryDirectory();
    const keys = [
      await sshKey(join(folder.path, 'one'), ['-t', 'ed25519', '-C', 'first key']),
      await sshKey(join(folder.path, 'two'), ['-t', 'rsa', '-b', '2048', '-C', 'second']),
    ];
    await using agent = await openAgent(keys.map(({ path }) => path));
    const listed = await checkProgram('ssh-add', ['-L'], { env: agent.env });
    expect(listed).toBe(keys.map(({ publicKey }) => `${publicKey}\n`).join(''));
  });

  it('rsa: signs by the digest that the flags name, and by no other', async () => {
    await using folder = await temporaryDirectory();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const path = join(folder.path, 'key');
    await writeFile(path, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    await using agent = await openAgent([path]);
    using client = await openClient(agent.socket);
    const identities = new WireReader(await client.ask(Buffer.of(11)));
    expect(identities.rest()[0]).toBe(12);
    const listed = new WireReader((await client.ask(Buffer.of(11))).subarray(1));
    expect(listed.uint32()).toBe(1);
    const blob = listed.string();
    const sign = (flags: number): Promise<Buffer> =>
      client.ask(Buffer.concat([Buffer.of(13), wireString(blob), wireString('data'), wireUint32(flags)]));
    for (const [flags, name, digest] of [
      [0, 'ssh-rsa', 'sha1'],
      [2, 'rsa-sha2-256', 'sha256'],
      [4, 'rsa-sha2-512', 'sha512'],
    ] as const) {
      const answer = await sign(flags);
      expect(answer[0]).toBe(14);
      const signature = new WireReader(new WireReader(answer.subarray(1)).string());
      expect(signature.text()).toBe(name);
      expect(verify(digest, Buffer.from('data'), publicKey, signature.string()), name).toBe(true);
    }
    expect(await sign(8), 'unknown flags').toEqual(Buffer.of(5));
    const unknown = Buffer.concat([Buffer.of(13), wireString('other'), wireString('data'), wireUint32(0)]);
    expect(await client.ask(unknown), 'a key that it does not have').toEqual(Buffer.of(5));
  });

  it.each(['keys', 'agent'])('%s: nothing can be added, removed or locked', async (of) => {
    await using folder = await temporaryDirectory();
    const key = await sshKey(join(folder.path, 'key'), ['-t', 'ed25519']);
    const other = await sshKey(join(folder.path, 'other'), ['-t', 'ed25519']);
    await using real = await openSshAgent(join(folder.path, 'socket'), [key.path]);
    await using agent = await openAgent([of === 'keys' ? key.path : real.socket]);
    const listed = await checkProgram('ssh-add', ['-L'], { env: agent.env });
    const changes = [['-D'], ['-d', `${key.path}.pub`], [other.path], ['-s', '/usr/lib/pkcs11.so']];
    for (const args of changes)
      expect(await runProgram('ssh-add', args, { env: agent.env })).not.toMatchObject({ status: 0 });
    using client = await openClient(agent.socket);
    const lock = Buffer.concat([Buffer.of(22), wireString('password')]);
    const extension = Buffer.concat([Buffer.of(27), wireString('query')]);
    for (const request of [lock, extension, Buffer.of(0), Buffer.of(255)]) {
      expect(await client.ask(request)).toEqual(Buffer.of(5));
    }
    expect(await checkProgram('ssh-add', ['-L'], { env: agent.env })).toBe(listed);
    expect(await checkProgram('ssh-add', ['-L'], { env: { SSH_AUTH_SOCK: real.socket } })).toContain(key.publicKey);
  });

  it('hostile clients: are cut off, and the others are served', async () => {
    await using folder = await temporaryDirectory();
    const key = await sshKey(join(folder.path, 'key'), ['-t', 'ed25519']);
    await using agent = await openAgent([key.path]);
    for (const bytes of [wireUint32(0), wireUint32(0xffff_ffff), wireUint32(256 * 1024 + 1)]) {
      using client = await openClient(agent.socket);
      await expect(client.send(bytes), bytes.toString('hex')).rejects.toThrow('closed');
    }
    using cut = await openClient(agent.socket);
    await expect(cut.ask(Buffer.concat([Buffer.of(13), wireUint32(1000)]))).rejects.toThrow('closed');
    using patient = await openClient(agent.socket);
    for (const byte of wireString(Buffer.of(11)).subarray(0, 4)) patient.socket.write(Buffer.of(byte));
    expect((await patient.send(Buffer.of(11)))[0]).toBe(12);
    const many = await Promise.all(Array.from({ length: 200 }, () => openClient(agent.socket).catch(() => undefined)));
    for (const client of many) client?.[Symbol.dispose]();
    await expect.poll(async () => (await runProgram('ssh-add', ['-L'], { env: agent.env })).status).toBe(0);
  });

  it('the end: closes the connections and takes the socket away', async () => {
    await using folder = await temporaryDirectory();
    const key = await sshKey(join(folder.path, 'key'), ['-t', 'ed25519']);
    const agent = await openAgent([key.path]);
    using client = await openClient(agent.socket);
    await client.ask(Buffer.of(11));
    const closed = once(client.socket, 'close');
    await agent[Symbol.asyncDispose]();
    await closed;
    expect(existsSync(dirname(agent.socket))).toBe(false);
  });

  it('what is no usable key: says why, and what to do', async () => {
    await using folder = await temporaryDirectory();
    const path = (name: string): string => join(folder.path, name);
    await sshKey(path('locked'), ['-t', 'ed25519', '-N', 'password']);
    await sshKey(path('locked-pem'), ['-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', 'password']);
    await sshKey(path('locked-pkcs8'), ['-t', 'ecdsa', '-m', 'PKCS8', '-N', 'password']);
    await sshKey(path('good'), ['-t', 'ed25519']);
    const good = await readFile(path('good'), 'utf8');
    await writeFile(path('cut'), good.replace(/\n(.{40}).*\n/, '\n$1\n'));
    const k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
    await writeFile(path('curve'), k1.export({ format: 'pem', type: 'sec1' }));
    const dsa = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).privateKey;
    await writeFile(path('dsa'), dsa.export({ format: 'pem', type: 'pkcs8' }));
    await writeFile(
      path('weak'),
      generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey.export({ format: 'pem', type: 'pkcs1' }),
    );
    await writeFile(path('text'), 'hello\n');
    await writeFile(path('large'), Buffer.alloc(100 * 1024 + 1, 'x'));
    const reasons = {
      locked: 'it has a passphrase',
      'locked-pem': 'it has a passphrase',
      'locked-pkcs8': 'it has a passphrase',
      cut: 'it is cut off',
      curve: 'its curve is none of nistp256, nistp384 and nistp521',
      dsa: 'it is of the type dsa, not ed25519, ecdsa or rsa',
      weak: 'its 768 bits are not between 1024 and 16384',
      text: 'it holds no private key in the format of OpenSSH or PEM',
      large: 'it is larger than 102400 bytes',
      'good.pub': 'it is a public key; the file without .pub is wanted',
      '.': 'EISDIR',
    };
    for (const [name, reason] of Object.entries(reasons)) {
      const failure = openAgent([path(name)]);
      await expect(failure, name).rejects.toMatchObject({
        code: 'SSH_KEY_INVALID',
        message: expect.stringContaining(`cannot be used: ${reason}`) as string,
        hint: 'add it to an agent with ssh-add, and hand over the agent with --ssh default',
      });
    }
  });

  it('several sockets, or a socket among keys: are refused', async () => {
    await using folder = await temporaryDirectory();
    const key = await sshKey(join(folder.path, 'key'), ['-t', 'ed25519']);
    await using real = await openSshAgent(join(folder.path, 'socket'), [key.path]);
    expect(await codeOf(openAgent([real.socket, real.socket]))).toBe('USAGE');
    expect(await codeOf(openAgent([key.path, real.socket]))).toBe('USAGE');
  });
});

/** One connection that sends bytes, and reads one message for each. */
interface Client extends Disposable {
  readonly socket: Socket;
  send(bytes: Buffer): Promise<Buffer>;
  /** Sends a message. */
  ask(request: Buffer): Promise<Buffer>;
}

async function openClient(path: string): Promise<Client> {
  const socket = connect(path);
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let pending = Buffer.alloc(0);
  const send = async (bytes: Buffer): Promise<Buffer> => {
    socket.write(bytes);
    while (pending.byteLength < 4 || pending.byteLength < 4 + pending.readUInt32BE()) {
      const next = await chunks.next();
      if (next.done === true) throw new Error('closed');
      pending = Buffer.concat([pending, next.value]);
    }
    const size = pending.readUInt32BE();
    const message = pending.subarray(4, 4 + size);
    pending = pending.subarray(4 + size);
    return message;
  };
  return {
    socket,
    send,
    ask: (request) => send(wireString(request)),
    [Symbol.dispose]: () => socket.destroy(),
  };
}
