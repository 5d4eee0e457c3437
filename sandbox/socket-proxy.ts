import { chmodSync, chownSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { RuntimeMount } from '../src/core/executor.ts';
import { socketPath } from '../src/core/socket-path.ts';
import type { OwnDirectory } from './own-directory.ts';

type SocketMount = Extract<RuntimeMount, { type: 'socket' }>;

/** Each takes two of our descriptors; a step needs one or two at a time. */
const MAX_CONNECTIONS = 64;

/** Mounts without sockets: each socket's place is taken by one of our own, until this is disposed. */
export interface SocketProxies extends AsyncDisposable {
  readonly mounts: readonly RuntimeMount[];
}

/**
 * Puts a listening socket with the wanted owner and mode before each socket of the host, which keeps its own. They lie in a directory of this
 * process, closed to other users.
 */
export async function openSocketProxies(mounts: readonly RuntimeMount[], own: OwnDirectory): Promise<SocketProxies> {
  if (!mounts.some((mount) => mount.type === 'socket')) return { mounts, [Symbol.asyncDispose]: async () => undefined };
  const directory = own.newPath();
  mkdirSync(directory, { mode: 0o700 });
  const proxies: SocketProxy[] = [];
  try {
    const replaced: RuntimeMount[] = [];
    for (const mount of mounts) {
      if (mount.type === 'socket') {
        const proxy = await SocketProxy.listen(mount, join(directory, String(proxies.length)));
        proxies.push(proxy);
        replaced.push({
          type: 'bind',
          source: proxy.path,
          path: '',
          destination: mount.destination,
          access: 'read-write',
        });
      } else {
        replaced.push(mount);
      }
    }
    return { mounts: replaced, [Symbol.asyncDispose]: () => close(proxies, directory) };
  } catch (error) {
    await close(proxies, directory);
    throw error;
  }
}

async function close(proxies: readonly SocketProxy[], directory: string): Promise<void> {
  await Promise.all(proxies.map((proxy) => proxy.close()));
  rmSync(directory, { recursive: true, force: true });
}

class SocketProxy {
  readonly path: string;
  readonly #directory: number;
  /** Of the socket of the host. */
  readonly #source: number;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  private constructor(mount: SocketMount, path: string) {
    this.path = path;
    this.#directory = openSync(dirname(path), 'r');
    this.#source = openSync(dirname(mount.source), 'r');
    const source = socketPath(this.#source, basename(mount.source));
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client, source));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  static async listen(mount: SocketMount, path: string): Promise<SocketProxy> {
    const proxy = new SocketProxy(mount, path);
    try {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      proxy.#server.once('error', reject).listen(socketPath(proxy.#directory, basename(path)), resolve);
      await promise;
      chownSync(path, mount.uid, mount.gid);
      chmodSync(path, mount.mode);
      return proxy;
    } catch (error) {
      await proxy.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const connection of this.#connections) connection.destroy();
    await promise;
    for (const fd of [this.#directory, this.#source]) closeSync(fd);
  }

  #join(client: Socket, source: string): void {
    const host = connect({ path: source, allowHalfOpen: true });
    for (const end of [client, host]) {
      this.#connections.add(end);
      end.once('close', () => this.#connections.delete(end));
    }
    const hangUp = (): void => {
      client.destroy();
      host.destroy();
    };
    pipeline(client, host).catch(hangUp);
    pipeline(host, client).catch(hangUp);
  }
}
