import { once } from 'node:events';
import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HttpSource } from '../../src/core/source.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { openTransport } from '../../src/registry/transport.ts';
import { openHttpSource } from '../../src/source/http.ts';
import { codeOf } from '../contracts/registry-server.ts';
import { fetchedTreesIn, temporaryDirectory } from '../support/store-rig.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Rig extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly dir: string;
  readonly requests: readonly IncomingMessage[];
  answer: Answer;
  /** A source as a new build has it. */
  open(secrets?: Record<string, string>): HttpSource;
}

async function openHttpRig(answer: Answer): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const requests: IncomingMessage[] = [];
  const rig = { answer };
  const server = createServer((request, response) => {
    requests.push(request);
    rig.answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const http = stack.use(openTransport({ userAgent: 'test', limits: { backoffMs: 1, attempts: 2 } }));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(rig, {
    host,
    url: `http://${host}/dir/file.txt`,
    dir: join(path, 'http'),
    requests,
    open: (secrets: Record<string, string> = {}) =>
      openHttpSource({
        http,
        trees: fetchedTreesIn(join(path, 'http'), join(path, 'tmp')),
        urls: join(path, 'http/urls'),
        tmp: join(path, 'tmp'),
        secrets: { lookup: async (id) => (secrets[id] === undefined ? undefined : Buffer.from(secrets[id])) },
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  });
}

const file = { filename: 'file.txt' };
const MODIFIED = 'Tue, 02 Jan 2024 03:04:05 GMT';
const plain: Answer = (_, response) => response.end('content');

describe('http source', () => {
  it('a file has mode 0600 and the time of Last-Modified', async () => {
    await using rig = await openHttpRig((_, response) => response.setHeader('last-modified', MODIFIED).end('content'));
    const { tree } = await rig.open().fetch({ url: rig.url, ...file });
    const path = join(tree.root, 'file.txt');
    expect(await readFile(path, 'utf8')).toBe('content');
    const found = await stat(path);
    expect(found.mode & 0o7777).toBe(0o600);
    expect(found.mtimeMs).toBe(Date.parse(MODIFIED));
    expect(await readdir(tree.root)).toEqual(['file.txt']);
  });
  it('without Last-Modified its time is 0', async () => {
    await using rig = await openHttpRig(plain);
    const { tree } = await rig.open().fetch({ url: rig.url, ...file });
    expect((await stat(join(tree.root, 'file.txt'))).mtimeMs).toBe(0);
  });
  it('identity: is that of name, content and time, whatever the URL', async () => {
    await using rig = await openHttpRig(plain);
    const source = rig.open();
    const first = await source.fetch({ url: rig.url, ...file });
    expect((await source.fetch({ url: `${rig.url}?other`, ...file })).identity).toBe(first.identity);
    expect((await source.fetch({ url: rig.url, filename: 'other' })).identity).not.toBe(first.identity);
    rig.answer = (_, response) => response.end('changed');
    expect((await rig.open().fetch({ url: rig.url, ...file })).identity).not.toBe(first.identity);
  });
  it.each([
    ['ETag', 'etag', '"abc"', 'if-none-match'],
    ['Last-Modified', 'last-modified', MODIFIED, 'if-modified-since'],
  ])('revalidation: by %s, without the content', async (_, header, value, condition) => {
    await using rig = await openHttpRig((request, response) => {
      if (request.headers[condition] === value) response.writeHead(304).end();
      else response.setHeader(header, value).end('content');
    });
    const first = await rig.open().fetch({ url: rig.url, ...file });
    const second = await rig.open().fetch({ url: rig.url, ...file });
    expect(second).toEqual(first);
    expect(rig.requests.map(({ headers }) => headers[condition])).toEqual([undefined, value]);
  });
  it('revalidation: not for a file that is no longer there', async () => {
    await using rig = await openHttpRig((_, response) => response.setHeader('etag', '"abc"').end('content'));
    await rig.open().fetch({ url: rig.url, ...file });
    await rm(join(rig.dir, 'trees'), { recursive: true });
    const { tree } = await rig.open().fetch({ url: rig.url, ...file });
    expect(await readFile(join(tree.root, 'file.txt'), 'utf8')).toBe('content');
    expect(rig.requests[1]?.headers['if-none-match']).toBeUndefined();
  });
  it('revalidation: a 304 that nobody asked for is an error', async () => {
    await using rig = await openHttpRig((_, response) => response.writeHead(304).end());
    expect(await codeOf(rig.open().fetch({ url: rig.url, ...file }))).toBe('DOWNLOAD_FAILED');
  });
  it('checksum: is verified, and what has it needs no question', async () => {
    await using rig = await openHttpRig(plain);
    const checksum = digestOf('content');
    expect(await codeOf(rig.open().fetch({ url: rig.url, ...file, checksum: digestOf('other') }))).toBe(
      'DIGEST_MISMATCH',
    );
    expect(await readdir(rig.dir).catch(() => [])).toEqual([]);
    await rig.open().fetch({ url: rig.url, ...file, checksum });
    await rig.open().fetch({ url: rig.url, ...file, checksum });
    expect(rig.requests).toHaveLength(2);
  });
  it('two that want the same at once share one download', async () => {
    await using rig = await openHttpRig(plain);
    const source = rig.open();
    const [a, b] = await Promise.all([
      source.fetch({ url: rig.url, ...file }),
      source.fetch({ url: rig.url, ...file }),
    ]);
    expect(a).toEqual(b);
    expect(rig.requests).toHaveLength(1);
  });
  it('credentials: secrets for the host, else those of the URL, never in a message', async () => {
    await using rig = await openHttpRig((_, response) => response.writeHead(403).end());
    const withLogin = rig.url.replace('//', '//ann:s3cret@');
    const ask = (url: string, secrets?: Record<string, string>) =>
      rig
        .open(secrets)
        .fetch({ url, ...file })
        .catch((error: unknown) => String(error));
    const messages = [
      await ask(withLogin),
      await ask(rig.url, { [`HTTP_AUTH_TOKEN_${rig.host}`]: 't0ken\n' }),
      await ask(rig.url, { [`HTTP_AUTH_HEADER_${rig.host}`]: 'Custom x' }),
      await ask(`${rig.url}?signature=s3cret`, { HTTP_AUTH_TOKEN_other: 't0ken' }),
    ];
    expect(rig.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Basic ${Buffer.from('ann:s3cret').toString('base64')}`,
      'Bearer t0ken',
      'Custom x',
      undefined,
    ]);
    for (const message of messages) {
      expect(message).toMatch(/DOWNLOAD_FAILED|download of http.* failed: the server answered 403/);
      expect(message).not.toMatch(/s3cret|t0ken/);
    }
  });
  it('redirect: is followed', async () => {
    await using rig = await openHttpRig((request, response) => {
      if (request.url === '/dir/file.txt') response.writeHead(302, { location: '/elsewhere' }).end();
      else response.end('content');
    });
    const { tree } = await rig.open().fetch({ url: rig.url, ...file });
    expect(await readFile(join(tree.root, 'file.txt'), 'utf8')).toBe('content');
  });
  it('a body that breaks off is asked for again; one that always does is an error', async () => {
    await using rig = await openHttpRig((_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('x', () => response.destroy());
    });
    expect(await codeOf(rig.open().fetch({ url: rig.url, ...file }))).toBe('DOWNLOAD_FAILED');
    expect(rig.requests).toHaveLength(3);
    expect(await readdir(rig.dir).catch(() => [])).toEqual([]);
    expect(await readdir(join(rig.dir, '../tmp'))).toEqual([]);
  });
  it.each(['..', '.', '', 'a/b', 'a\0b'])('the file name %j is refused', async (filename) => {
    await using rig = await openHttpRig(plain);
    expect(await codeOf(rig.open().fetch({ url: rig.url, filename }))).toBe('PATH_INVALID');
  });
  it.each(['ftp://x/a', 'file:///etc/passwd', 'nothing'])('the URL %s is refused', async (url) => {
    await using rig = await openHttpRig(plain);
    expect(await codeOf(rig.open().fetch({ url, ...file }))).toBe('DOWNLOAD_FAILED');
  });
});
