import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseChallenge } from '../../src/registry/challenge.ts';
import { blobOf, codeOf, openTestRegistry, pushEmptyImage } from '../contracts/registry-server.ts';
import { dockerConfig } from '../support/docker-config.ts';
import { openDockerRegistry } from '../support/docker-registry.ts';
import { openFakeRegistry } from '../support/fake-registry.ts';
import { describeWith } from '../support/requires.ts';
import { temporaryDirectory } from '../support/store-rig.ts';

/** A password with a colon and a letter beyond ASCII. */
const [USER, PASSWORD] = ['ann', 's3cret:ä'];
const HTPASSWD = `${USER}:$2b$04$JIoM3HMnrxWyVN0bYlLzreeuvGu5mwKnVhRN3MVc2xE/e2cf1B.2O\n`;
const login = { auth: Buffer.from(`${USER}:${PASSWORD}`).toString('base64') };

describe('challenge', () => {
  it.each([
    ['Basic realm="Registry"', { scheme: 'basic' }],
    ['basic', { scheme: 'basic' }],
    [
      'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push repository:c:pull"',
      {
        scheme: 'bearer',
        realm: 'https://auth.example/token',
        service: 'registry',
        scopes: ['repository:a/b:pull,push', 'repository:c:pull'],
      },
    ],
    ['Basic realm="a, Bearer b", bearer realm=x', { scheme: 'bearer', realm: 'x', service: undefined, scopes: [] }],
    [String.raw`Bearer realm="a\"b"`, { scheme: 'bearer', realm: 'a"b', service: undefined, scopes: [] }],
    ['Bearer service="no realm"', undefined],
    ['Negotiate', undefined],
    ['', undefined],
    [`Basic ${'x'.repeat(10_000)}`, undefined],
  ])('%j', (header, expected) => {
    expect(parseChallenge(header)).toEqual(expected);
  });
});

describe.each(['basic', 'bearer'] as const)('auth: %s', (scheme) => {
  const auth = { scheme, username: USER, password: PASSWORD };

  it('credentials of docker let in, and nobody else gets in', async () => {
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ auths: { [server.host]: login } });
    const reference = { registry: server.host, repository: 'private/app', tag: 'v1' };
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    const { descriptor } = await pushEmptyImage(ann, reference);
    expect(await ann.resolve(reference)).toEqual(descriptor);
    await using nobody = openTestRegistry();
    expect(await codeOf(nobody.resolve(reference))).toBe('REGISTRY_REFUSED');
    await using wrongConfig = await dockerConfig({ auths: { [server.host]: { username: USER, password: 'wrong' } } });
    await using wrong = openTestRegistry({ dockerConfigPath: wrongConfig.path });
    const error = await wrong.resolve(reference).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'REGISTRY_REFUSED', hint: `log in with: docker login ${server.host}` });
    expect((error as Error).message).not.toContain('wrong');
  });

  it('the way in is asked for once', async () => {
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ auths: { [`https://${server.host}/v1/`]: login } });
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    const reference = { registry: server.host, repository: 'private/app', tag: 'v1' };
    await pushEmptyImage(ann, reference);
    const before = server.requests.length;
    await ann.resolve(reference);
    await ann.resolve(reference);
    const paths = server.requests.slice(before).map(({ path }) => path.replace(/\?.*/, ''));
    const manifest = '/v2/private/app/manifests/v1';
    expect(paths).toEqual(scheme === 'basic' ? [manifest, manifest] : ['/token', manifest, manifest]);
  });
});

describe('auth: tokens', () => {
  it('one that is refused is renewed, once', async () => {
    const auth = { scheme: 'bearer', username: USER, password: PASSWORD } as const;
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ auths: { [server.host]: login } });
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    const reference = { registry: server.host, repository: 'a', tag: 'v1' };
    expect(await ann.resolve(reference)).toBeUndefined();
    let refusals = 1;
    server.intercept = (request, response) => {
      if (request.url?.startsWith('/v2/') !== true || refusals-- <= 0) return false;
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${server.host}/token"` }).end();
      return true;
    };
    expect(await ann.resolve(reference)).toBeUndefined();
    refusals = 100;
    expect(await codeOf(ann.resolve(reference))).toBe('REGISTRY_REFUSED');
    expect(server.requests.filter(({ path }) => path.startsWith('/token')).length).toBeLessThanOrEqual(4);
  });
  it('a refresh token is exchanged', async () => {
    const auth = { scheme: 'bearer', username: USER, password: PASSWORD, identityToken: 'refresh-me' } as const;
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ auths: { [server.host]: { identitytoken: 'refresh-me' } } });
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    const { blob, open } = blobOf(Buffer.from('x'));
    const reference = { registry: server.host, repository: 'a' };
    await ann.pushBlob(reference, blob, { open });
    expect(server.requests.find(({ path }) => path === '/token')?.method).toBe('POST');
  });
  it.each(['ftp://x/token', '/token', 'not a url'])('a token server at %j is refused', async (realm) => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    server.intercept = (_, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
      return true;
    };
    expect(await codeOf(registry.resolve({ registry: server.host, repository: 'a' }))).toBe('REGISTRY_REFUSED');
  });
  it('a token that would break into the headers is refused', async () => {
    await using server = await openFakeRegistry();
    await using registry = openTestRegistry();
    server.intercept = (request, response) => {
      if (request.url?.startsWith('/token') === true)
        response.writeHead(200).end(JSON.stringify({ token: 'a\r\nx: y' }));
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${server.host}/token"` }).end();
      return true;
    };
    expect(await codeOf(registry.resolve({ registry: server.host, repository: 'a' }))).toBe('REGISTRY_REFUSED');
  });
});

/** Puts a helper into PATH that knows the login of one server. */
async function withHelper(script: string, test: (o: { name: string }) => Promise<void>): Promise<void> {
  await using folder = await temporaryDirectory();
  const program = join(folder.path, 'docker-credential-test');
  await writeFile(program, `#!/bin/sh\n${script}\n`);
  await chmod(program, 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder.path}:${before}`;
  try {
    await test({ name: 'test' });
  } finally {
    process.env['PATH'] = before;
  }
}

describe('auth: credential helpers', () => {
  const auth = { scheme: 'basic', username: USER, password: PASSWORD } as const;
  const answer = `read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"${USER}\\",\\"Secret\\":\\"${PASSWORD}\\"}"`;

  it.each(['credHelpers', 'credsStore'])('%s is asked', (kind) =>
    withHelper(answer, async ({ name }) => {
      await using server = await openFakeRegistry({ auth });
      const content = kind === 'credsStore' ? { credsStore: name } : { credHelpers: { [server.host]: name } };
      await using config = await dockerConfig(content);
      await using ann = openTestRegistry({ dockerConfigPath: config.path });
      expect(await ann.resolve({ registry: server.host, repository: 'a', tag: 'v1' })).toBeUndefined();
    }),
  );
  it('one that knows nothing leaves it to the file', () =>
    withHelper('echo "credentials not found in native keychain"; exit 1', async ({ name }) => {
      await using server = await openFakeRegistry({ auth });
      await using config = await dockerConfig({ credsStore: name, auths: { [server.host]: login } });
      await using ann = openTestRegistry({ dockerConfigPath: config.path });
      expect(await ann.resolve({ registry: server.host, repository: 'a', tag: 'v1' })).toBeUndefined();
    }));
  it.each([
    ['fails', 'echo "a secret message"; exit 3', /docker-credential-test failed with exit code 3$/],
    ['gives nonsense', 'echo nonsense', /not understood/],
  ])('one that %s is named', (_, script, message) =>
    withHelper(script, async ({ name }) => {
      await using server = await openFakeRegistry({ auth });
      await using config = await dockerConfig({ credsStore: name });
      await using ann = openTestRegistry({ dockerConfigPath: config.path });
      await expect(ann.resolve({ registry: server.host, repository: 'a' })).rejects.toThrow(message);
    }),
  );
  it('one that is not installed is named', async () => {
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ credsStore: 'no-such-helper' });
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    await expect(ann.resolve({ registry: server.host, repository: 'a' })).rejects.toThrow(
      /docker-credential-no-such-helper is not installed/,
    );
  });
  it.each(['../evil', '-x', 'a b'])('a helper called %j is refused', async (credsStore) => {
    await using server = await openFakeRegistry({ auth });
    await using config = await dockerConfig({ credsStore });
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    expect(await codeOf(ann.resolve({ registry: server.host, repository: 'a' }))).toBe('DOCUMENT_INVALID');
  });
  it('a broken file is refused without being quoted', async () => {
    await using server = await openFakeRegistry({ auth });
    await using folder = await temporaryDirectory();
    const dockerConfigPath = join(folder.path, 'config.json');
    await writeFile(dockerConfigPath, '{"auths":{"x":{"auth":"c2VjcmV0"');
    await using ann = openTestRegistry({ dockerConfigPath });
    const error = await ann.resolve({ registry: server.host, repository: 'a' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'DOCUMENT_INVALID' });
    expect(String(error)).not.toContain('c2VjcmV0');
  });
});

describeWith(['docker-registry'], 'auth: docker-registry with htpasswd', () => {
  it('lets in who has the password', async () => {
    await using server = await openDockerRegistry({ htpasswd: HTPASSWD });
    await using config = await dockerConfig({ auths: { [server.host]: login } });
    await using ann = openTestRegistry({ dockerConfigPath: config.path });
    const reference = { registry: server.host, repository: 'private/app', tag: 'v1' };
    const { descriptor } = await pushEmptyImage(ann, reference);
    expect(await ann.resolve(reference)).toEqual(descriptor);
    await using nobody = openTestRegistry();
    const error = await nobody.resolve(reference).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'REGISTRY_REFUSED', detail: { status: 401 } });
    expect((error as Error).message).toContain(`registry ${server.host} answered 401`);
  });
});
