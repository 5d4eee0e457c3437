import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import { FormatError } from '../oci/format-error.ts';
import { readSecretFile } from './secret-file.ts';
import type { AgentServer } from './ssh-agent.ts';
import type { SshKey } from './ssh-private-key.ts';

/** An agent as the user names it: `paths` is empty for the one in SSH_AUTH_SOCK, else holds a socket, or private keys. */
export interface SshRequest {
  readonly id: string;
  readonly paths: readonly string[];
}

/** The ssh agents handed to a build. Disposing closes their sockets. */
export interface Agents extends AsyncDisposable {
  /**
   * The absolute path of a socket of our own, behind which the agent's or the keys' answers are to be had; `undefined` where no such agent
   * was given.
   * @throws SSH_NOT_FOUND for a socket or file that is not there, SSH_KEY_INVALID, USAGE for several sockets
   */
  lookup(id: string): Promise<string | undefined>;
}

/** The most that a private key's file may have: as much as BuildKit reads. */
const MAX_KEY_SIZE = 100 * 1024;

/** Agents are looked at, and keys read, when they are first wanted. Keys are kept in memory only. */
export function openAgents(o: {
  readonly ssh: readonly SshRequest[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** For sockets; swept after a process that is killed. */
  readonly tmp: string;
}): Agents {
  const requests = new Map(o.ssh.map((request) => [request.id, request]));
  const servers = new Map<string, Promise<AgentServer>>();
  return {
    lookup: async (id) => {
      const request = requests.get(id);
      if (request === undefined) return undefined;
      const server = servers.get(id) ?? serve({ id, paths: pathsOf(request, o) }, o.tmp);
      servers.set(id, server);
      return (await server).path;
    },
    [Symbol.asyncDispose]: async () => {
      const opened = await Promise.allSettled(servers.values());
      for (const server of opened) if (server.status === 'fulfilled') await server.value[Symbol.asyncDispose]();
    },
  };
}

function pathsOf(
  { id, paths }: SshRequest,
  { env, cwd }: Omit<Parameters<typeof openAgents>[0], 'ssh' | 'tmp'>,
): string[] {
  const { SSH_AUTH_SOCK: own = '' } = env;
  if (paths.length === 0 && own === '') {
    throw new BuildError('SSH_NOT_FOUND', { id }, { hint: 'no agent runs: SSH_AUTH_SOCK is not set' });
  }
  return (paths.length === 0 ? [own] : paths).map((path) => resolve(cwd, path));
}

/** What it takes to speak the protocol is loaded here: few builds have an agent. */
async function serve({ id, paths }: SshRequest, tmp: string): Promise<AgentServer> {
  const kinds = await Promise.all(paths.map((path) => kindOf(path, id)));
  const socket = paths[kinds.indexOf('socket')];
  if (socket !== undefined && paths.length > 1) {
    const problem = `the ssh agent ${JSON.stringify(id)} has several paths, and ${socket} is a socket`;
    throw new BuildError('USAGE', { problem, suggestion: `write --ssh ID=SOCKET, or --ssh ID=KEY,KEY` });
  }
  const { forwardingSession, keySession, openAgentServer } = await import('./ssh-agent.ts');
  if (socket !== undefined) return openAgentServer(() => forwardingSession(socket), tmp);
  const { parseSshKey } = await import('./ssh-private-key.ts');
  const keys = await Promise.all(paths.map((path) => readKey(path, parseSshKey)));
  return openAgentServer(() => keySession(keys), tmp);
}

async function kindOf(path: string, id: string): Promise<'socket' | 'key'> {
  try {
    return (await stat(path)).isSocket() ? 'socket' : 'key';
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new BuildError('SSH_NOT_FOUND', { id }, { hint: `there is no socket and no key ${path}`, cause: error });
  }
}

async function readKey(path: string, parse: (text: string) => SshKey): Promise<SshKey> {
  try {
    const bytes = await readSecretFile(path, MAX_KEY_SIZE);
    if (bytes === undefined) throw new FormatError(`it is larger than ${MAX_KEY_SIZE} bytes`);
    return parse(bytes.toString('latin1'));
  } catch (error) {
    if (!(error instanceof FormatError) && !isErrno(error, 'EACCES', 'EISDIR', 'EPERM')) throw error;
    throw new BuildError('SSH_KEY_INVALID', { path, reason: messageOf(error) }, { cause: error });
  }
}
