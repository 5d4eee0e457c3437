import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProgram } from './run-program.ts';

/** Debian's docker-registry, running on a loopback port of its own with an empty store. */
export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** What it was asked since the last call, as `GET /v2/…`, in the order in which it answered. */
  takeRequests(): readonly string[];
}

/** Starts a registry and waits until it listens. @param o.htpasswd the users that it lets in, `name:bcrypt` lines; everybody if absent */
export async function openDockerRegistry(o: { readonly htpasswd?: string } = {}): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'tsbuild-registry-'));
  const config = join(folder, 'config.yml');
  const users = join(folder, 'htpasswd');
  await writeFile(users, o.htpasswd ?? '');
  const auth = o.htpasswd === undefined ? '' : `auth: { htpasswd: { realm: test, path: ${users} } }`;
  // Port 0: the kernel chooses a free one, and the log says which.
  await writeFile(
    config,
    `version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: ${join(folder, 'data')} }, delete: { enabled: true } }
http: { addr: 127.0.0.1:0 }
${auth}
`,
  );
  const { promise: listening, resolve } = Promise.withResolvers<string>();
  let log = '';
  const server = startProgram('docker-registry', ['serve', config], {
    env: { OTEL_TRACES_EXPORTER: 'none' },
    onStderr: (text) => {
      log += text;
      const host = /listening on (127\.0\.0\.1:\d+)/.exec(log)?.[1];
      if (host !== undefined) resolve(host);
    },
  });
  let taken = 0;
  const takeRequests = (): readonly string[] => {
    const fresh = log.slice(taken);
    taken += fresh.length;
    const lines = fresh.split('\n').filter((line) => line.includes('response completed'));
    return lines.map((line) => {
      const [, method = ''] = /http\.request\.method=(\w+)/.exec(line) ?? [];
      const [, uri = ''] = /http\.request\.uri="?([^\s"]+)/.exec(line) ?? [];
      return `${method} ${uri}`;
    });
  };
  const stop = async (): Promise<void> => {
    server.kill('SIGKILL');
    await server.ended;
    await rm(folder, { recursive: true, force: true });
  };
  const ended = server.ended.then(() => undefined);
  const host = await Promise.race([listening, ended]);
  if (host === undefined) {
    await stop();
    throw new Error(`docker-registry did not start: ${log}`);
  }
  return { host, takeRequests, [Symbol.asyncDispose]: stop };
}
