import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { BuildError } from '../../src/core/error.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import { blobOf, codeOf, openTestRegistry, pushEmptyImage } from '../contracts/registry-server.ts';
import { dockerConfig } from '../support/docker-config.ts';
import { type FakeRegistry, openFakeRegistry } from '../support/fake-registry.ts';

/** Lets `server` answer requests whose path matches in another way. */
function onRequest(
  server: FakeRegistry,
  pattern: RegExp,
  answer: (response: ServerResponse, count: number) => void,
): void {
  let count = 0;
  server.intercept = (request, response) => {
    if (!pattern.test(`${request.method} ${request.url}`)) return false;
    request.resume();
    answer(response, ++count);
    return true;
  };
}

const repositoryOf = (server: FakeRegistry): { registry: string; repository: string } => ({
  registry: server.host,
  repository: 'evil/app',
});

/** An answer of 200. */
const send =
  (body: Buffer | string, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(200, { 'content-type': MediaTypes.manifest, ...headers }).end(body);

describe('hostile registry: documents', () => {
  const bytes = Buffer.from('{"schemaVersion":2}');
  const descriptor: Descriptor = { mediaType: MediaTypes.manifest, digest: digestOf(bytes), size: bytes.length };

  it.each([
    ['other bytes of the same length', send(bytes.toString().replace('2', '3')), 'DIGEST_MISMATCH'],
    ['the type of an index', send(bytes, { 'content-type': MediaTypes.index }), 'DOCUMENT_INVALID'],
    ['the type of something else', send(bytes, { 'content-type': 'text/html' }), 'DOCUMENT_INVALID'],
    ['an endless body', endless, 'DOCUMENT_INVALID'],
    ['a page of its own', (r: ServerResponse) => void r.writeHead(418).end('<html>'), 'REGISTRY_REFUSED'],
  ])('manifest: %s is refused', async (_, answer, code) => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    onRequest(server, /GET .*\/manifests\//, answer);
    expect(await codeOf(registry.fetchManifest(repositoryOf(server), descriptor))).toBe(code);
  });

  it('manifest: one that is longer than its descriptor says is refused', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    onRequest(server, /GET .*\/manifests\//, send(bytes));
    expect(await codeOf(registry.fetchManifest(repositoryOf(server), { ...descriptor, size: 5 }))).toBe(
      'DOCUMENT_INVALID',
    );
  });

  it.each(['sha256:../../../../etc/passwd', 'sha256:ABC', 'md5:d41d8cd98f00b204e9800998ecf8427e', `${digestOf('x')}x`])(
    'resolve: a digest of the form %j is not believed',
    async (digest) => {
      await using server = await openFakeRegistry();
      await using registry = openTestRegistry();
      const headers = { 'docker-content-digest': digest, 'content-length': '19', 'content-type': MediaTypes.manifest };
      server.intercept = (request, response) => {
        response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : bytes);
        return true;
      };
      expect(await registry.resolve({ ...repositoryOf(server), tag: 'v1' })).toEqual(descriptor);
    },
  );

  it('resolve: another digest than the one asked for is refused', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const headers = {
      'docker-content-digest': digestOf('other'),
      'content-length': '5',
      'content-type': MediaTypes.manifest,
    };
    onRequest(server, /HEAD /, (response) => response.writeHead(200, headers).end());
    const pinned = { ...repositoryOf(server), digest: descriptor.digest };
    expect(await codeOf(registry.resolve(pinned))).toBe('DIGEST_MISMATCH');
  });

  it('resolve: a document beyond 4 MiB is refused without being read', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const headers = {
      'docker-content-digest': digestOf('x'),
      'content-length': '4194305',
      'content-type': MediaTypes.manifest,
    };
    onRequest(server, /HEAD /, (response) => response.writeHead(200, headers).end());
    expect(await codeOf(registry.resolve({ ...repositoryOf(server), tag: 'v1' }))).toBe('DOCUMENT_INVALID');
    expect(server.requests).toHaveLength(1);
  });

  it('resolve: an image of schema 1 is named as such', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const headers = { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' };
    server.intercept = (_, response) => {
      response.writeHead(200, headers).end('{}');
      return true;
    };
    await expect(registry.resolve({ ...repositoryOf(server), tag: 'v1' })).rejects.toThrow(/schema 1/);
  });

  it('error: control characters and endless texts of a registry are not passed on', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const message = `\u001b[31mred\u0007\n${'x'.repeat(10_000)}`;
    server.intercept = (_, response) => {
      response
        .writeHead(403, { 'content-type': 'application/json' })
        .end(JSON.stringify({ errors: [{ code: 'DENIED', message }] }));
      return true;
    };
    const error = await registry
      .resolve({ ...repositoryOf(server), tag: 'v1' })
      .catch((reason: unknown) => reason as Error);
    expect((error as Error).message).toMatch(/DENIED: .\[31mred/);
    expect((error as Error).message).not.toMatch(/\p{Cc}/u);
    expect((error as Error).message.length).toBeLessThan(500);
  });
});

describe('hostile registry: blobs', () => {
  const bytes = randomBytes(300_000);
  const { blob } = blobOf(bytes);
  const fetch = async (server: FakeRegistry): Promise<Buffer> => {
    await using registry = openTestRegistry({ limits: { attempts: 3, backoffMs: 1 } });
    return Buffer.concat(await Array.fromAsync(registry.fetchBlob(repositoryOf(server), blob)));
  };
  const isBlob = /GET .*\/blobs\//;

  it('download: a length other than the blob has is refused before anything is read', async () => {
    await using server = await openFakeRegistry();
    onRequest(server, isBlob, (response) => response.writeHead(200, { 'content-length': 2 ** 40 }).write('x'));
    expect(await codeOf(fetch(server))).toBe('DOCUMENT_INVALID');
  });
  it('download: an endless answer ends as soon as it is too long', async () => {
    await using server = await openFakeRegistry();
    onRequest(server, isBlob, endless);
    expect(await codeOf(fetch(server))).toBe('DOCUMENT_INVALID');
  });
  it('download: is resumed where it broke off', async () => {
    await using server = await openFakeRegistry();
    server.blobs.set(`evil/app@${blob.digest}`, bytes);
    server.intercept = (request, response) => {
      if (request.headers.range !== undefined) return false;
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 100_000), () => response.destroy());
      return true;
    };
    expect(digestOf(await fetch(server))).toBe(blob.digest);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=\d+-$/),
    ]);
  });
  it('download: is resumed from a registry that knows no ranges', async () => {
    await using server = await openFakeRegistry();
    onRequest(server, isBlob, (response, count) => {
      response.writeHead(200);
      if (count > 1) response.end(bytes);
      else response.write(bytes.subarray(0, 100_000), () => response.destroy());
    });
    expect(digestOf(await fetch(server))).toBe(blob.digest);
  });
  it('download: an answer that ends early again and again fails in the end', async () => {
    await using server = await openFakeRegistry();
    onRequest(server, isBlob, (response) => response.writeHead(200).end(bytes.subarray(0, 1000)));
    expect(await codeOf(fetch(server))).toBe('REGISTRY_UNREACHABLE');
    expect(server.requests.length).toBeLessThan(6);
  });
  it('download: a range that begins elsewhere does not mix up the blob', async () => {
    await using server = await openFakeRegistry();
    onRequest(server, isBlob, (response, count) => {
      if (count === 1) {
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 100_000), () => response.destroy());
        return;
      }
      response
        .writeHead(206, { 'content-range': `bytes 10-${bytes.length - 1}/${bytes.length}` })
        .end(bytes.subarray(10));
    });
    expect(digestOf(await fetch(server))).toBe(blob.digest);
  });
});

describe('hostile registry: redirects', () => {
  const auth = { scheme: 'basic', username: 'ann', password: 'secret' } as const;

  it('redirect: another host gets no credentials', async () => {
    await using storage = await openFakeRegistry({ address: '127.0.0.2' });
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ auths: { [server.host]: { auth: base64('ann:secret') } } });
    await using registry = openTestRegistry({ dockerConfigPath: config.path });
    const { blob, open } = blobOf(Buffer.from('content'));
    await registry.pushBlob(repositoryOf(server), blob, { open });
    storage.blobs.set(`evil/app@${blob.digest}`, Buffer.from('content'));
    onRequest(server, /GET .*\/blobs\//, (response) =>
      response.writeHead(307, { location: `http://ann:secret@${storage.host}/v2/evil/app/blobs/${blob.digest}` }).end(),
    );
    const bytes = Buffer.concat(await Array.fromAsync(registry.fetchBlob(repositoryOf(server), blob)));
    expect(bytes.toString()).toBe('content');
    expect(server.requests.at(-1)?.headers.authorization).toMatch(/^Basic /);
    expect(storage.requests).toHaveLength(1);
    expect(storage.requests[0]?.headers.authorization).toBeUndefined();
  });
  it('redirect: a 401 of another host is not answered with credentials', async () => {
    await using thief = await openFakeRegistry({ address: '127.0.0.2', auth });
    await using server = await openFakeRegistry();
    await using config = await dockerConfig({ auths: { [server.host]: { auth: base64('ann:secret') } } });
    await using registry = openTestRegistry({ dockerConfigPath: config.path });
    server.intercept = (request, response) => {
      response.writeHead(302, { location: `http://${thief.host}${request.url}` }).end();
      return true;
    };
    expect(await codeOf(registry.resolve({ ...repositoryOf(server), tag: 'v1' }))).toBe('REGISTRY_REFUSED');
    expect(thief.requests.map(({ headers }) => headers.authorization)).not.toContainEqual(expect.anything());
  });
  it('upload: an address on another host gets the blob, but no credentials', async () => {
    await using storage = await openFakeRegistry({ address: '127.0.0.2' });
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ auths: { [server.host]: { auth: base64('ann:secret') } } });
    await using registry = openTestRegistry({ dockerConfigPath: config.path });
    const { blob, open } = blobOf(Buffer.from('content'));
    let location = '';
    onRequest(storage, /PUT /, (response) => response.writeHead(201).end());
    server.intercept = (request, response) => {
      if (request.method !== 'POST' || request.headers.authorization === undefined) return false;
      location = `http://${storage.host}/signed?token=a%2Bb`;
      response.writeHead(202, { location }).end();
      return true;
    };
    await registry.pushBlob(repositoryOf(server), blob, { open });
    expect(storage.requests).toMatchObject([
      { method: 'PUT', path: `/signed?token=a%2Bb&digest=${encodeURIComponent(blob.digest)}` },
    ]);
    expect(storage.requests[0]?.headers.authorization).toBeUndefined();
  });
  it('redirect: an endless body of one is not read', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const { promise: closed, resolve: close } = Promise.withResolvers<undefined>();
    onRequest(server, /GET /, (response, count) => {
      if (count > 1) return void response.writeHead(404).end();
      response.once('close', () => close(undefined));
      return endless(response.writeHead(302, { location: '/again' }));
    });
    const descriptor = { mediaType: MediaTypes.manifest, digest: digestOf('x'), size: 1 };
    expect(await codeOf(registry.fetchManifest(repositoryOf(server), descriptor))).toBe('IMAGE_NOT_FOUND');
    await closed;
  });
  it('redirect: a circle ends', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    onRequest(server, /./, (response) => response.writeHead(302, { location: '/again' }).end());
    expect(await codeOf(registry.resolve({ ...repositoryOf(server), tag: 'v1' }))).toBe('REGISTRY_UNREACHABLE');
  });
  it.each(['file:///etc/passwd', 'gopher://x/', 'http://['])('redirect: to %s is not followed', async (location) => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    onRequest(server, /./, (response) => response.writeHead(302, { location }).end());
    expect(await codeOf(registry.resolve({ ...repositoryOf(server), tag: 'v1' }))).toBe('REGISTRY_UNREACHABLE');
  });
});

describe('unsteady registry', () => {
  it.each([500, 502, 503, 429])('retry: a read succeeds after two answers of %i', async (status) => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const reference = { ...repositoryOf(server), tag: 'v1' };
    const { descriptor } = await pushEmptyImage(registry, reference);
    let failures = 2;
    server.intercept = (_, response) => {
      if (failures-- <= 0) return false;
      response.writeHead(status).end();
      return true;
    };
    expect(await registry.resolve(reference)).toEqual(descriptor);
  });
  it('retry: Retry-After is obeyed, and a long one is not waited for', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    onRequest(server, /./, (response) => response.writeHead(429, { 'retry-after': '3600' }).end());
    const error = await registry.resolve({ ...repositoryOf(server), tag: 'v1' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'REGISTRY_REFUSED',
      detail: { status: 429 },
    });
    expect(String((error as BuildError).hint)).toContain('docker login');
    expect(server.requests).toHaveLength(2);
  });
  it('upload: begins anew after the connection broke', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const { blob, open } = blobOf(randomBytes(1_000_000));
    let failures = 0;
    server.intercept = (request, response) => {
      if (request.method !== 'PUT' || failures++ > 0) return false;
      response.destroy();
      return true;
    };
    await registry.pushBlob(repositoryOf(server), blob, { open });
    expect(server.blobs.get(`evil/app@${blob.digest}`)?.length).toBe(blob.size);
  });
  it('upload: an answer in the middle of the body ends the sending', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const { blob } = blobOf(Buffer.alloc(1));
    let sent = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      for (; sent < 2 ** 30; sent += 2 ** 20) yield Buffer.alloc(2 ** 20);
    }
    server.intercept = (request, response) => {
      if (request.method !== 'PUT') return false;
      response.writeHead(403).end();
      return true;
    };
    expect(await codeOf(registry.pushBlob(repositoryOf(server), { ...blob, size: 2 ** 30 }, { open: body }))).toBe(
      'REGISTRY_REFUSED',
    );
    expect(sent).toBeLessThan(2 ** 29);
  });
  it('upload: goes in chunks where one request is too large', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const { blob, open } = blobOf(randomBytes(40 * 1024 * 1024));
    server.intercept = (request, response) => {
      if (Number(request.headers['content-length'] ?? 0) <= 20 * 1024 * 1024) return false;
      request.resume();
      response.writeHead(413).end();
      return true;
    };
    await registry.pushBlob(repositoryOf(server), blob, { open });
    expect(server.blobs.get(`evil/app@${blob.digest}`)?.length).toBe(blob.size);
    expect(server.requests.filter(({ method }) => method === 'PATCH')).toHaveLength(3);
  });
  it('upload: what its source throws comes out as it is, and nothing is tried again', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const blob = { digest: digestOf('x'), size: 10 };
    await expect(registry.pushBlob(repositoryOf(server), blob, { open: broken })).rejects.toThrow(RangeError);
    expect(server.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
  it('idle: a registry that falls silent is given up', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry({ limits: { attempts: 2, backoffMs: 1, idleTimeoutMs: 50 } });
    server.intercept = () => true;
    await expect(registry.resolve({ ...repositoryOf(server), tag: 'v1' })).rejects.toThrow(
      /did not answer: nothing was heard/,
    );
    expect(server.requests).toHaveLength(2);
  });
  it('abort: the reason comes out of a request and of a download', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    const { promise: asked, resolve: tell } = Promise.withResolvers<undefined>();
    server.intercept = (request, response) => {
      tell(undefined);
      if (request.method === 'GET') response.writeHead(200).write('x');
      return true;
    };
    const first = new AbortController();
    const resolving = registry.resolve({ ...repositoryOf(server), tag: 'v1' }, { signal: first.signal });
    await asked;
    const reason = new Error('stopped by the test');
    first.abort(reason);
    await expect(resolving).rejects.toBe(reason);
    const second = new AbortController();
    const download = registry.fetchBlob(
      repositoryOf(server),
      { digest: digestOf('y'), size: 10 },
      { signal: second.signal },
    );
    const chunks = download[Symbol.asyncIterator]();
    await chunks.next();
    second.abort(reason);
    await expect(chunks.next()).rejects.toBe(reason);
  });
});

function endless(response: ServerResponse): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': MediaTypes.manifest });
  const chunk = Buffer.alloc(1024 * 1024, ' ');
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('x');
  throw new RangeError('the disk is gone');
}
