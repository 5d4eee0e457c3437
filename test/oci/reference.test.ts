import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { familiarReference, formatReference, formatRepository, parseReference } from '../../src/oci/reference.ts';

const HEX = 'a'.repeat(64);
const DIGEST = `sha256:${HEX}`;

describe('parseReference', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine:latest', 'alpine'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20', 'alpine:3.20'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest', 'alpine'],
    ['index.docker.io/library/alpine', 'docker.io/library/alpine:latest', 'alpine'],
    ['bitnami/redis', 'docker.io/bitnami/redis:latest', 'bitnami/redis'],
    ['library/a/b', 'docker.io/library/a/b:latest', 'library/a/b'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app'],
    ['localhost:5000/app:1', 'localhost:5000/app:1', 'localhost:5000/app:1'],
    ['registry:5000/team/app', 'registry:5000/team/app:latest', 'registry:5000/team/app'],
    ['127.0.0.1/app', '127.0.0.1/app:latest', '127.0.0.1/app'],
    ['[::1]:5000/app', '[::1]:5000/app:latest', '[::1]:5000/app'],
    ['[2001:db8::1]/app', '[2001:db8::1]/app:latest', '[2001:db8::1]/app'],
    ['ghcr.io/org', 'ghcr.io/org:latest', 'ghcr.io/org'],
    ['Uppercase/app', 'Uppercase/app:latest', 'Uppercase/app'],
    ['a--b__c/e-f.g', 'docker.io/a--b__c/e-f.g:latest', 'a--b__c/e-f.g'],
    [`alpine@${DIGEST}`, `docker.io/library/alpine@${DIGEST}`, `alpine@${DIGEST}`],
    [`alpine:3@${DIGEST}`, `docker.io/library/alpine:3@${DIGEST}`, `alpine:3@${DIGEST}`],
    ['app:Tag_1.x-Y', 'docker.io/library/app:Tag_1.x-Y', 'app:Tag_1.x-Y'],
    [`app:${'t'.repeat(128)}`, `docker.io/library/app:${'t'.repeat(128)}`, undefined],
    [`team/${HEX}`, `docker.io/team/${HEX}:latest`, undefined],
  ])('%s: is %s in full', (text, full, familiar) => {
    const reference = parseReference(text)!;
    expect(formatReference(reference)).toBe(full);
    if (familiar !== undefined) expect(familiarReference(reference)).toBe(familiar);
  });

  it('parts: are told apart', () => {
    expect(parseReference(`reg.example:443/a/b:t@${DIGEST}`)).toEqual({
      registry: 'reg.example:443',
      repository: 'a/b',
      tag: 't',
      digest: DIGEST,
    });
    expect(parseReference('alpine')).toEqual({ registry: 'docker.io', repository: 'library/alpine' });
  });

  it.each([
    ['', 'nothing'],
    [HEX, 'an image id'],
    ['Alpine', 'upper case in a repository'],
    ['docker.io/Alpine', 'upper case in a repository'],
    ['alpine:', 'an empty tag'],
    ['alpine:-x', 'a tag that begins with a dash'],
    [`alpine:${'t'.repeat(129)}`, 'a tag too long'],
    ['alpine@sha256:abc', 'a short digest'],
    [`alpine@sha512:${HEX}${HEX}`, 'another algorithm'],
    [`alpine@sha256:${'A'.repeat(64)}`, 'an upper-case digest'],
    [`alpine@${DIGEST}@${DIGEST}`, 'two digests'],
    ['a//b', 'an empty component'],
    ['/a', 'no registry'],
    ['a/', 'no repository'],
    ['a_', 'a final separator'],
    ['a___b', 'three underscores'],
    ['a..b', 'two dots'],
    ['-a/b', 'a leading dash'],
    ['a/b:c/d', 'a slash in a tag'],
    ['[::1/app', 'a bracket left open'],
    ['[fe80::1%eth0]/app', 'a zone'],
    ['http://example.org/app', 'a URL'],
    ['reg.example:port/app', 'a port that is no number'],
    ['a b', 'a space'],
    ['a\n', 'a line break'],
    [`reg.example/${'a'.repeat(256)}`, 'a repository too long'],
    ['../x', 'a path'],
  ])('%j: is refused (%s)', (text) => {
    expect(parseReference(text)).toBeUndefined();
  });

  it('time: is linear in hostile text', () => {
    const start = performance.now();
    expect(parseReference(`${'a-'.repeat(500_000)}!`)).toBeUndefined();
    expect(parseReference(`${'a-'.repeat(500)}!`)).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('property: format and parse are inverse', () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,5}(?:[._-][a-z0-9]{1,4})?$/);
    const registry = fc.constantFrom('docker.io', 'localhost', 'ghcr.io', 'localhost:5000', '[::1]:80', '10.0.0.1:1');
    const reference = fc.record(
      {
        registry,
        repository: fc.array(component, { minLength: 2, maxLength: 4 }).map((parts) => parts.join('/')),
        tag: fc.stringMatching(/^\w[\w.-]{0,9}$/),
        digest: fc.constant(parseReference(`a@${DIGEST}`)!.digest!),
      },
      { requiredKeys: ['registry', 'repository'] },
    );
    fc.assert(
      fc.property(reference, (parts) => {
        const bare = parts.tag === undefined && parts.digest === undefined;
        expect(parseReference(formatReference(parts))).toEqual(bare ? { ...parts, tag: 'latest' } : parts);
        expect(parseReference(familiarReference(parts))).toEqual(parts);
      }),
    );
  });
});

describe('formatRepository', () => {
  it('repository: has neither tag nor digest', () => {
    expect(formatRepository(parseReference(`alpine:3@${DIGEST}`)!)).toBe('docker.io/library/alpine');
  });
});
