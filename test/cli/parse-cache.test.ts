import { expect, test } from 'vitest';
import type { CacheExport, CacheImport } from '../../src/build-request.ts';
import { parseCacheFrom, parseCacheTo } from '../../src/cli/parse-cache.ts';
import { thrown } from './thrown.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

const imports: readonly [string, unknown][] = [
  ['user/app:cache', { type: 'registry', ref: 'user/app:cache' }],
  ['type=registry,ref=127.0.0.1:5000/app:cache', { type: 'registry', ref: '127.0.0.1:5000/app:cache' }],
  ['type=local,src=dir', { type: 'local', src: 'dir' } satisfies CacheImport],
  [`type=local,src=dir,tag=v1,digest=${DIGEST}`, { type: 'local', src: 'dir', tag: 'v1', digest: DIGEST }],
];

test.each(imports)('--cache-from %s is understood', (text, cache) => {
  expect(parseCacheFrom(text)).toEqual(cache);
});

const exports: readonly [string, CacheExport][] = [
  ['user/app:cache', { type: 'registry', ref: 'user/app:cache', mode: 'min' }],
  ['type=inline', { type: 'inline' }],
  ['type=local,dest=dir,mode=max,tag=v1', { type: 'local', dest: 'dir', tag: 'v1', mode: 'max' }],
  [
    'type=registry,ref=app,compression=zstd,compression-level=9,force-compression=true,ignore-error=false',
    {
      type: 'registry',
      ref: 'app',
      mode: 'min',
      compression: 'zstd',
      compressionLevel: 9,
      forceCompression: true,
      onError: 'fail',
    },
  ],
  ['type=local,dest=d,reset=true', { type: 'local', dest: 'd', unreferenced: 'drop', mode: 'min' }],
  ['type=local,dest=d,image-manifest=false', { type: 'local', dest: 'd', mode: 'min', form: 'index' }],
  [
    'type=local,dest=d,oci-mediatypes=false',
    { type: 'local', dest: 'd', mode: 'min', mediaTypes: 'docker', form: 'index' },
  ],
];

test.each(exports)('--cache-to %s is understood', (text, cache) => {
  expect(parseCacheTo(text)).toEqual(cache);
});

const bad: readonly [text: string, reason: string, hint?: string][] = [
  ['dest=x', 'it has no type', 'write type=inline|local|registry'],
  ['type=locl,dest=x', 'no cache type for --cache-to is named "locl"', 'did you mean local?'],
  ['type=local', 'type local needs dest', 'add dest=DIR'],
  ['type=registry,mode=max', 'type registry needs ref', 'add ref=NAME'],
  ['type=local,dst=x', 'type local has no option "dst"', 'did you mean dest?'],
  ['type=inline,mode=max', 'type inline has no option "mode"'],
  ['type=local,dest=x,mode=all', 'unknown mode "all"', 'choose from: min, max'],
  ['type=local,dest=x,compression-level=12', "compression-level 12 is not one of gzip's", 'choose 0 to 9'],
  ['type=local,dest=x,tag=a/b', '"a/b" is no tag'],
  [
    'type=local,dest=x,oci-mediatypes=false,image-manifest=true',
    'docker media types have no image manifest for caches',
    'drop oci-mediatypes=false',
  ],
];

test.each(bad)('--cache-to %j is refused', (text, reason, hint) => {
  const error = thrown(() => parseCacheTo(text));
  expect(error).toMatchObject({ code: 'CACHE_INVALID', exitStatus: 2, detail: { cache: text, reason }, hint });
});

test('--cache-from: what is no digest is refused', () => {
  expect(thrown(() => parseCacheFrom('type=local,src=x,digest=sha256:1')).code).toBe('CACHE_INVALID');
});

test.each(['gha', 's3', 'azblob'])('the cache type %s is not supported, and what is gets named', (type) => {
  const hint = 'use type=inline|local|registry';
  expect(thrown(() => parseCacheTo(`type=${type}`))).toMatchObject({ code: 'UNSUPPORTED', hint });
});
