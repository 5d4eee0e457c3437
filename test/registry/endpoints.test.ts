import { describe, expect, it } from 'vitest';
import { endpointsFor } from '../../src/registry/endpoint.ts';
import { blobOf, codeOf, openTestRegistry, pushEmptyImage } from '../contracts/registry-server.ts';
import { openFakeRegistry } from '../support/fake-registry.ts';

const options = (mirrors: Record<string, readonly string[]> = {}, insecure: readonly string[] = []) => ({
  mirrors: new Map(Object.entries(mirrors)),
  insecure,
});
const origins = (registry: string, o = options()): readonly string[] =>
  endpointsFor(registry, o).map(({ origin, prefix }) => `${origin}/${prefix}`);

describe('endpoints', () => {
  it('docker.io is registry-1.docker.io', () => {
    expect(origins('docker.io')).toEqual(['https://registry-1.docker.io/']);
  });
  it.each(['localhost', 'localhost:5000', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000'])(
    '%s is spoken to in plain HTTP',
    (registry) => {
      expect(origins(registry)).toEqual([`http://${registry}/`]);
    },
  );
  it.each(['localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1:5000', 'example.com'])(
    '%s is not',
    (registry) => {
      expect(origins(registry)).toEqual([`https://${registry}/`]);
    },
  );
  it('plain HTTP is for configured hosts, with one port or all', () => {
    expect(origins('a.example:5000', options({}, ['a.example']))).toEqual(['http://a.example:5000/']);
    expect(origins('a.example:5000', options({}, ['a.example:5000']))).toEqual(['http://a.example:5000/']);
    expect(origins('a.example:5001', options({}, ['a.example:5000']))).toEqual(['https://a.example:5001/']);
  });
  it('mirrors come first, in order, with their path before the repository', () => {
    const o = options({ 'docker.io': ['127.0.0.1:5000', 'http://m.example', 'https://h.example/proxy/hub/'] });
    expect(origins('docker.io', o)).toEqual([
      'http://127.0.0.1:5000/',
      'http://m.example/',
      'https://h.example/proxy/hub/',
      'https://registry-1.docker.io/',
    ]);
    expect(origins('quay.io', o)).toEqual(['https://quay.io/']);
  });
  it.each(['', 'http://', 'user:password@host', 'host?x', 'ho st'])('mirror %j is refused', (mirror) => {
    expect(() => origins('docker.io', options({ 'docker.io': [mirror] }))).toThrow(/invalid mirror/);
  });
});

describe('mirrors', () => {
  const hub = { registry: 'docker.io', repository: 'library/app', tag: 'v1' };

  it('are asked in order, and writes go to the registry itself', async () => {
    await using empty = await openFakeRegistry();
    await using full = await openFakeRegistry();
    await using itself = await openFakeRegistry();
    await using publisher = openTestRegistry();
    const { descriptor } = await pushEmptyImage(publisher, { ...hub, registry: full.host });
    const mirrors = new Map([
      ['docker.io', [empty.host, full.host]],
      [itself.host, [full.host]],
    ]);
    await using registry = openTestRegistry({ mirrors });
    expect(await registry.resolve(hub)).toEqual(descriptor);
    expect(empty.requests).toHaveLength(1);
    await pushEmptyImage(registry, { ...hub, registry: itself.host });
    expect(itself.manifests.size).toBe(2);
    expect(full.requests.filter(({ method }) => method === 'PUT')).toHaveLength(2);
  });

  it('a path of the mirror stands before the repository', async () => {
    await using server = await openFakeRegistry();
    await using publisher = openTestRegistry();
    const { descriptor } = await pushEmptyImage(publisher, {
      registry: server.host,
      repository: 'proxy/library/app',
      tag: 'v1',
    });
    await using registry = openTestRegistry({ mirrors: new Map([['docker.io', [`${server.host}/proxy`]]]) });
    expect(await registry.resolve(hub)).toEqual(descriptor);
  });

  it('one that breaks off in a blob is continued by the next', async () => {
    await using bad = await openFakeRegistry();
    await using good = await openFakeRegistry();
    const bytes = Buffer.alloc(500_000, 'x');
    const { blob } = blobOf(bytes);
    good.blobs.set(`library/app@${blob.digest}`, bytes);
    bad.intercept = (request, response) => {
      if (request.headers.range !== undefined) response.writeHead(500).end();
      else
        response
          .writeHead(200, { 'content-length': bytes.length })
          .write(bytes.subarray(0, 1000), () => response.destroy());
      return true;
    };
    await using registry = openTestRegistry({
      mirrors: new Map([['docker.io', [bad.host, good.host]]]),
      limits: { attempts: 2, backoffMs: 1 },
    });
    expect(Buffer.concat(await Array.fromAsync(registry.fetchBlob(hub, blob))).equals(bytes)).toBe(true);
    expect(good.requests[0]?.headers.range).toMatch(/^bytes=\d+-$/);
  });

  it('one that is down is passed over, and not asked again soon', async () => {
    await using down = await openFakeRegistry();
    const { host } = down;
    await down[Symbol.asyncDispose]();
    await using good = await openFakeRegistry();
    await using publisher = openTestRegistry();
    const { descriptor } = await pushEmptyImage(publisher, { ...hub, registry: good.host });
    await using registry = openTestRegistry({ mirrors: new Map([['docker.io', [host, good.host]]]) });
    expect(await registry.resolve(hub)).toEqual(descriptor);
    expect(await registry.resolve(hub)).toEqual(descriptor);
  });
});

describe('unreachable registry', () => {
  it('a closed port is named', async () => {
    const server = await openFakeRegistry();
    const { host } = server;
    await server[Symbol.asyncDispose]();
    await using registry = openTestRegistry();
    await expect(registry.resolve({ registry: host, repository: 'a' })).rejects.toThrow(
      `registry ${host} cannot be reached: connection refused by ${host}`,
    );
  });
  it('an unknown name is named', async () => {
    await using registry = openTestRegistry({ limits: { attempts: 1 } });
    await expect(registry.resolve({ registry: 'registry.invalid', repository: 'a' })).rejects.toThrow(
      /^registry registry\.invalid cannot be reached: (?:no such host: registry\.invalid|the name registry\.invalid could not be looked up)/,
    );
  });
  it('one that speaks no TLS is told from one that is not there', async () => {
    await using server = await openFakeRegistry();
    const mirrors = new Map([['x.invalid', [`https://${server.host}`]]]);
    await using registry = openTestRegistry({ mirrors, limits: { attempts: 1 } });
    const work = registry.resolve({ registry: 'x.invalid', repository: 'a' });
    await expect(work).rejects.toThrow(/mirror https:.*does not speak TLS/);
    expect(await codeOf(registry.resolve({ registry: 'x.invalid', repository: 'a' }))).toBe('REGISTRY_UNREACHABLE');
  });
});
