import { expect, test } from 'vitest';
import type { Output } from '../../src/build-request.ts';
import { parseOutput } from '../../src/cli/parse-output.ts';
import { thrown } from './thrown.ts';

const ok: readonly [string, Output][] = [
  ['out', { type: 'local', dest: 'out' }],
  ['./out dir', { type: 'local', dest: './out dir' }],
  ['-', { type: 'tar', dest: '-' }],
  ['type=local,dest=out', { type: 'local', dest: 'out' }],
  ['type=tar', { type: 'tar', dest: '-' }],
  ['type=tar,dest=a.tar', { type: 'tar', dest: 'a.tar' }],
  ['type=cacheonly', { type: 'cacheonly' }],
  ['type=oci,dest=a.tar', { type: 'oci', names: [], dest: 'a.tar', form: 'tar' }],
  ['type=oci,dest=a.tar,tar=true', { type: 'oci', names: [], dest: 'a.tar', form: 'tar' }],
  ['type=oci,dest=d,tar=false', { type: 'oci', names: [], dest: 'd', form: 'directory' }],
  ['type=oci', { type: 'oci', names: [], dest: '-', form: 'tar' }],
  [
    'type=oci,dest=F,tar=false,compression=zstd,compression-level=3,force-compression=true,name=a:1',
    {
      type: 'oci',
      names: ['a:1'],
      dest: 'F',
      form: 'directory',
      compression: 'zstd',
      compressionLevel: 3,
      forceCompression: true,
    },
  ],
  ['type=docker,dest=a.tar', { type: 'docker', names: [], dest: 'a.tar' }],
  ['type=docker', { type: 'image', names: [], push: 'no', store: 'yes' }],
  ['type=image', { type: 'image', names: [], push: 'no', store: 'yes' }],
  ['type=image,push=true,store=false', { type: 'image', names: [], push: 'yes', store: 'no' }],
  ['type=registry,"name=a,b"', { type: 'image', names: ['a', 'b'], push: 'yes', store: 'yes' }],
  [
    'type=image,name=a,push-by-digest=1',
    { type: 'image', names: ['a'], push: 'yes', store: 'yes', pushByDigest: true },
  ],
  ['type=image,oci-mediatypes=false', { type: 'image', names: [], push: 'no', store: 'yes', mediaTypes: 'docker' }],
  [
    'type=image,annotation.org.X=Y,rewrite-timestamp=true',
    { type: 'image', names: [], push: 'no', store: 'yes', rewriteTimestamp: true, annotations: { 'org.X': 'Y' } },
  ],
];

test.each(ok)('%s is understood', (text, output) => {
  expect(parseOutput(text)).toEqual(output);
});

const bad: readonly [text: string, reason: string, hint?: string][] = [
  ['', 'it is empty', 'write type=TYPE,dest=PATH, a directory, or -'],
  ['dest=x', 'it has no type', 'write type=image|registry|oci|docker|local|tar|cacheonly'],
  ['type=,dest=x', 'it has no type', 'write type=image|registry|oci|docker|local|tar|cacheonly'],
  ['type=ocii,dest=x', 'no output type is named "ocii"', 'did you mean oci?'],
  [
    'type=constructor',
    'no output type is named "constructor"',
    'choose from: image, registry, oci, docker, local, tar, cacheonly',
  ],
  ['type=oci,dst=x', 'type oci has no option "dst"', 'did you mean dest?'],
  ['type=local,dest=x,compression=zstd', 'type local has no option "compression"', 'choose from: dest'],
  ['type=cacheonly,dest=x', 'type cacheonly has no option "dest"'],
  ['type=oci,dest', 'the field "dest" has no value', 'write dest=VALUE'],
  ['type=oci,dest=x,tar=maybe', 'tar=maybe is neither true nor false'],
  ['type=oci,tar=false', 'a layout directory needs a path', 'add dest=DIR'],
  ['type=local', 'a local output needs a directory', 'add dest=DIR'],
  ['type=local,dest=-', 'a local output needs a directory', 'add dest=DIR'],
  ['type=docker,dest=x,tar=false', 'a docker archive is always a tar', 'use type=oci for a directory'],
  ['type=oci,dest=x,compression=zip', 'unknown compression "zip"', 'did you mean gzip?'],
  ['type=oci,dest=x,compression-level=10', "compression-level 10 is not one of gzip's", 'choose 0 to 9'],
  [
    'type=oci,dest=x,compression=zstd,compression-level=23',
    "compression-level 23 is not one of zstd's",
    'choose 0 to 22',
  ],
];

test.each(bad)('%j is refused', (text, reason, hint) => {
  const error = thrown(() => parseOutput(text));
  expect(error).toMatchObject({ code: 'OUTPUT_INVALID', exitStatus: 2, detail: { output: text, reason }, hint });
});

test('a misplaced quote is refused', () => {
  expect(thrown(() => parseOutput('type=oci,name="a"')).code).toBe('USAGE');
});
