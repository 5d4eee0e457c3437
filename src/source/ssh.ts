import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BuildError, isErrno } from '../core/error.ts';

/** An agent as the user names it: `paths` is empty for the one in SSH_AUTH_SOCK, else holds a socket, or private keys. */
export interface SshRequest {
  readonly id: string;
  readonly paths: readonly string[];
}

/** The ssh agents handed to a build. */
export interface Agents {
  /**
   * The absolute path of the agent's socket; `undefined` where no such agent was given.
   * @throws SSH_NOT_FOUND for a socket that is not there, UNSUPPORTED for private keys
   */
  lookup(id: string): Promise<string | undefined>;
}

/** Agents are looked at when they are first wanted. */
export function openAgents(o: {
  readonly ssh: readonly SshRequest[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}): Agents {
  const requests = new Map(o.ssh.map((request) => [request.id, request]));
  return {
    lookup: async (id) => {
      const request = requests.get(id);
      if (request === undefined) return undefined;
      if (request.paths.length > 1) throw keysUnsupported(id);
      const path = request.paths[0] ?? o.env['SSH_AUTH_SOCK'];
      if (path === undefined || path === '') {
        throw new BuildError('SSH_NOT_FOUND', { id }, { hint: 'no agent runs: SSH_AUTH_SOCK is not set' });
      }
      return socketAt(resolve(o.cwd, path), id);
    },
  };
}

async function socketAt(path: string, id: string): Promise<string> {
  try {
    const file = await stat(path);
    if (file.isSocket()) return path;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new BuildError('SSH_NOT_FOUND', { id }, { hint: `there is no socket ${path}`, cause: error });
  }
  throw keysUnsupported(id);
}

function keysUnsupported(id: string): BuildError {
  const instead = 'add the keys to an agent with ssh-add, and hand over its socket';
  return new BuildError('UNSUPPORTED', { what: `private keys for the ssh agent ${JSON.stringify(id)}`, instead });
}
