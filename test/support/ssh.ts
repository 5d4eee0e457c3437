import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { checkProgram, startProgram } from './run-program.ts';

/** A pair of files that ssh-keygen made. */
export interface SshKeyFiles {
  /** The private one's; the public one is at `${path}.pub`. */
  readonly path: string;
  /** One line: type, key and comment. */
  readonly publicKey: string;
}

/** Makes a key pair, without a passphrase unless `args` give one. */
export async function sshKey(path: string, args: readonly string[]): Promise<SshKeyFiles> {
  const passphrase = args.includes('-N') ? [] : ['-N', ''];
  await checkProgram('ssh-keygen', ['-q', '-f', path, ...passphrase, ...args]);
  return { path, publicKey: (await readFile(`${path}.pub`, 'utf8')).trim() };
}

/** Starts OpenSSH's own agent at `socket`, with these keys. */
export async function openSshAgent(
  socket: string,
  keys: readonly string[],
): Promise<AsyncDisposable & { readonly socket: string }> {
  const agent = startProgram('ssh-agent', ['-D', '-a', socket]);
  while (!existsSync(socket)) await setTimeout(10);
  await checkProgram('ssh-add', ['-q', ...keys], { env: { SSH_AUTH_SOCK: socket } });
  return {
    socket,
    [Symbol.asyncDispose]: async () => {
      agent.kill('SIGTERM');
      await agent.ended;
    },
  };
}

/** Starts sshd on loopback for root, who may come in with these keys; its files lie in `folder`. */
export async function openSshServer(
  folder: string,
  authorized: readonly string[],
): Promise<AsyncDisposable & { readonly port: number }> {
  const port = await freePort();
  const hostKey = await sshKey(join(folder, 'host-key'), ['-t', 'ed25519']);
  await writeFile(join(folder, 'authorized'), authorized.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  const settings = [
    `HostKey ${hostKey.path}`,
    `ListenAddress 127.0.0.1:${port}`,
    `AuthorizedKeysFile ${join(folder, 'authorized')}`,
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
  ];
  await writeFile(join(folder, 'sshd_config'), settings.map((line) => `${line}\n`).join(''));
  // Debian's init script makes it; without one running nobody has.
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  let output = '';
  const server = startProgram('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], {
    onStderr: (text) => (output += text),
  });
  while (!output.includes(`listening on 127.0.0.1 port ${port}`)) await setTimeout(10);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.kill('SIGTERM');
      await server.ended;
    },
  };
}
