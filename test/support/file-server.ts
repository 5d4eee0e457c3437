import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** A web server on loopback that gives the files of a directory. */
export interface FileServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** The paths asked for, in order. */
  readonly requests: readonly string[];
}

/** All files seem to be of this time. */
const LAST_MODIFIED = 'Tue, 02 Jan 2024 03:04:05 GMT';

/** Serves `folder`; a folder that does not exist has no files. */
export async function openFileServer(folder: string): Promise<FileServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
    requests.push(path);
    const file = join(folder, path);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-length': statSync(file).size, 'last-modified': LAST_MODIFIED });
    createReadStream(file).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
