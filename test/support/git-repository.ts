import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { checkProgram, startProgram } from './run-program.ts';

/** A repository on this machine to fetch from. */
export interface GitRepository extends AsyncDisposable {
  readonly folder: string;
  /** `file://…` */
  readonly url: string;
  /** Runs git in it, with none of the machine's configuration; gives its output. */
  git(...args: readonly string[]): Promise<string>;
  /** Writes files, `{ link }` and `{ program }` among them, and commits everything; gives the commit's id. */
  commit(
    files: Readonly<Record<string, string | { readonly link: string } | { readonly program: string }>>,
  ): Promise<string>;
}

/** 2024-01-02 03:04:05 */
export const COMMIT_SECONDS = 1_704_164_645;

/** Makes an empty repository with the branch `main`. */
export async function openGitRepository(): Promise<GitRepository> {
  const folder = await mkdtemp(join(tmpdir(), 'tsbuild-git-'));
  const date = `${COMMIT_SECONDS} +0000`;
  const identity = {
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
  };
  const env = {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_DATE: date,
    ...identity,
  };
  const git = async (...args: readonly string[]): Promise<string> =>
    (await checkProgram('git', ['-c', 'protocol.file.allow=always', ...args], { cwd: folder, env })).trim();
  await git('init', '--quiet', '--initial-branch=main');
  await git('config', 'uploadpack.allowAnySHA1InWant', 'true');
  return {
    folder,
    url: `file://${folder}`,
    git,
    commit: async (files) => {
      for (const [name, content] of Object.entries(files)) {
        const path = join(folder, name);
        await mkdir(dirname(path), { recursive: true });
        await rm(path, { force: true });
        if (typeof content === 'string') await writeFile(path, content);
        else if ('link' in content) await symlink(content.link, path);
        else await writeFile(path, content.program, { mode: 0o755 });
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--message', 'test');
      return git('rev-parse', 'HEAD');
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Serves a repository with git's own CGI program. @param authorization the only Authorization header that is let in */
export async function serveGit(
  folder: string,
  authorization?: string,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server: Server = createServer((request, response) => {
    if (authorization !== undefined && request.headers.authorization?.toLowerCase() !== authorization.toLowerCase()) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://localhost');
    const cgi = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: folder,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'],
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        ...(request.headers['content-encoding'] !== undefined && {
          HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
        }),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(cgi.stdin);
    let head = Buffer.alloc(0);
    cgi.stdout.on('data', (chunk: Buffer) => {
      if (response.headersSent) return void response.write(chunk);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return undefined;
      const headers = new Map(
        head
          .toString('latin1', 0, end)
          .split('\r\n')
          .map((line) => line.split(': ') as [string, string]),
      );
      response.writeHead(Number.parseInt(headers.get('Status') ?? '200', 10), Object.fromEntries(headers));
      return void response.write(head.subarray(end + 4));
    });
    cgi.stdout.on('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Serves the repositories below `folder` with git's own daemon. */
export async function openGitDaemon(folder: string): Promise<{ readonly url: string } & AsyncDisposable> {
  const port = await freePort();
  let output = '';
  const place = [`--base-path=${folder}`, '--listen=127.0.0.1', `--port=${port}`];
  const daemon = startProgram('git', ['daemon', '--verbose', '--export-all', '--reuseaddr', ...place], {
    onStderr: (text) => (output += text),
  });
  while (!output.includes('Ready to rumble')) await setTimeout(10);
  return {
    url: `git://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      daemon.kill('SIGTERM');
      await daemon.ended;
    },
  };
}
