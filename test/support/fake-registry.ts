import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What a client asked for. */
export interface RecordedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** Takes a request out of the registry's hands: gives `true` where it answers by itself. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Who may use the registry, and how they have to prove who they are. */
export interface FakeAuth {
  readonly scheme: 'basic' | 'bearer';
  readonly username: string;
  readonly password: string;
  /** A refresh token that counts as well. */
  readonly identityToken?: string;
}

/** A registry in this process that keeps everything in memory, and misbehaves on demand. */
export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Every request so far, in order. */
  readonly requests: readonly RecordedRequest[];
  /** Bytes by `REPOSITORY@DIGEST`. */
  readonly blobs: Map<string, Buffer>;
  /** Documents by `REPOSITORY:TAG` and `REPOSITORY@DIGEST`. */
  readonly manifests: Map<string, { readonly mediaType: string; readonly bytes: Buffer }>;
  /** Asked before every request. */
  intercept: Intercept | undefined;
}

/** Starts a registry. @param o.address the loopback address to listen on, so that two registries can have two host names */
export async function openFakeRegistry(
  o: { readonly auth?: FakeAuth; readonly address?: string } = {},
): Promise<FakeRegistry> {
  const registry = new MemoryRegistry(o.auth);
  const server = createServer((request, response) => {
    registry.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  const address = o.address ?? '127.0.0.1';
  server.listen(0, address);
  await once(server, 'listening');
  registry.host = `${address}:${(server.address() as AddressInfo).port}`;
  return Object.assign(registry, {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

type Route = readonly [
  pattern: RegExp,
  answer: (repository: string, rest: string, exchange: Exchange) => Promise<void>,
];

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
}

class MemoryRegistry {
  host = '';
  readonly requests: RecordedRequest[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly mediaType: string; readonly bytes: Buffer }>();
  intercept: Intercept | undefined = undefined;
  readonly #auth: FakeAuth | undefined;
  readonly #uploads = new Map<string, Buffer[]>();
  readonly #tokens = new Map<string, { readonly scopes: readonly string[]; readonly endsMs: number }>();

  constructor(auth: FakeAuth | undefined) {
    this.#auth = auth;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://${this.host}`);
    const { method = '', headers } = request;
    this.requests.push({ method, path: `${url.pathname}${url.search}`, headers });
    if (this.intercept?.(request, response) === true) return;
    const exchange = { request, response, url };
    if (url.pathname === '/token') return this.#giveToken(exchange);
    if (!this.#allows(exchange)) return this.#challenge(exchange);
    for (const [pattern, answer] of this.#routes) {
      const match = pattern.exec(url.pathname);
      if (match !== null) return answer(match[1] ?? '', match[2] ?? '', exchange);
    }
    refuse(response, 404, 'NAME_UNKNOWN');
  }

  readonly #routes: readonly Route[] = [
    [/^\/v2\/(.+)\/manifests\/([^/]+)$/, (repository, name, exchange) => this.#manifest(repository, name, exchange)],
    [/^\/v2\/(.+)\/blobs\/(sha256:[^/]+)$/, (repository, digest, exchange) => this.#blob(repository, digest, exchange)],
    [/^\/v2\/(.+)\/blobs\/uploads\/([^/]*)$/, (repository, id, exchange) => this.#upload(repository, id, exchange)],
  ];

  async #manifest(repository: string, name: string, { request, response }: Exchange): Promise<void> {
    const keyOf = (reference: string): string =>
      reference.startsWith('sha256:') ? `${repository}@${reference}` : `${repository}:${reference}`;
    if (request.method === 'PUT') {
      const document = { mediaType: request.headers['content-type'] ?? '', bytes: await buffer(request) };
      const digest = sha256(document.bytes);
      if (name.startsWith('sha256:') && name !== digest) return refuse(response, 400, 'DIGEST_INVALID');
      this.manifests.set(keyOf(name), document).set(keyOf(digest), document);
      response.writeHead(201, { 'docker-content-digest': digest }).end();
      return;
    }
    const document = this.manifests.get(keyOf(name));
    if (document === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN');
    const { mediaType, bytes } = document;
    const headers = {
      'content-type': mediaType,
      'docker-content-digest': sha256(bytes),
      'content-length': bytes.length,
    };
    response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : bytes);
  }

  async #blob(repository: string, digest: string, { request, response }: Exchange): Promise<void> {
    const bytes = this.blobs.get(`${repository}@${digest}`);
    if (bytes === undefined) return refuse(response, 404, 'BLOB_UNKNOWN');
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(from);
    const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(from === 0 ? 200 : 206, { 'content-length': part.length, ...range });
    response.end(request.method === 'HEAD' ? undefined : part);
  }

  async #upload(repository: string, id: string, { request, response, url }: Exchange): Promise<void> {
    if (request.method === 'POST') return this.#startUpload(repository, { request, response, url });
    const parts = this.#uploads.get(id);
    if (parts === undefined) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
    parts.push(await buffer(request));
    const bytes = Buffer.concat(parts);
    const location = `/v2/${repository}/blobs/uploads/${id}?state=${encodeURIComponent('a+b/c=')}`;
    if (request.method === 'PATCH') {
      response.writeHead(202, { location, range: `0-${bytes.length - 1}` }).end();
      return;
    }
    this.#uploads.delete(id);
    const digest = url.searchParams.get('digest') ?? '';
    if (sha256(bytes) !== digest) return refuse(response, 400, 'DIGEST_INVALID');
    this.blobs.set(`${repository}@${digest}`, bytes);
    response.writeHead(201, { location: `/v2/${repository}/blobs/${digest}` }).end();
  }

  #startUpload(repository: string, { response, url }: Exchange): void {
    const [mount, from] = [url.searchParams.get('mount'), url.searchParams.get('from')];
    const mounted = this.blobs.get(`${from}@${mount}`);
    if (mounted !== undefined) {
      this.blobs.set(`${repository}@${mount}`, mounted);
      response.writeHead(201, { location: `/v2/${repository}/blobs/${mount}` }).end();
      return;
    }
    const id = randomUUID();
    this.#uploads.set(id, []);
    response
      .writeHead(202, { location: `/v2/${repository}/blobs/uploads/${id}?state=${encodeURIComponent('a+b/c=')}` })
      .end();
  }

  #allows({ request, url }: Exchange): boolean {
    if (this.#auth === undefined) return true;
    const header = request.headers.authorization ?? '';
    if (this.#auth.scheme === 'basic') return header === basic(this.#auth);
    const token = this.#tokens.get(header.replace(/^Bearer /, ''));
    if (token === undefined || token.endsMs < Date.now()) return false;
    const repository = /^\/v2\/(.+?)\/(?:manifests|blobs)\//.exec(url.pathname)?.[1] ?? '';
    const action = request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'push';
    return token.scopes.some((scope) => {
      const [, name, actions = ''] = scope.split(':');
      return name === repository && actions.split(',').includes(action);
    });
  }

  #challenge({ response }: Exchange): void {
    const challenge =
      this.#auth?.scheme === 'basic'
        ? 'Basic realm="test"'
        : `Bearer realm="http://${this.host}/token",service="fake",scope="repository:ignored:pull"`;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
  }

  async #giveToken({ request, response, url }: Exchange): Promise<void> {
    const form = request.method === 'POST' ? new URLSearchParams((await buffer(request)).toString()) : url.searchParams;
    const auth = this.#auth;
    const byPassword = auth !== undefined && request.headers.authorization === basic(auth);
    const byIdentity = auth?.identityToken !== undefined && form.get('refresh_token') === auth.identityToken;
    if (auth === undefined || (!byPassword && !byIdentity)) return refuse(response, 401, 'UNAUTHORIZED');
    const token = randomUUID();
    const expires = 300;
    const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
    this.#tokens.set(token, { scopes, endsMs: Date.now() + expires * 1000 });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token, expires_in: expires }));
  }
}

/** An error in the distribution-spec's form. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }));
}

function basic({ username, password }: FakeAuth): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
