import { describe, expect, it } from 'vitest';
import {
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  encodeDocument,
  MAX_DOCUMENT_BYTES,
} from '../../src/oci/decode.ts';
import { FormatError } from '../../src/oci/format-error.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const CONFIG = { mediaType: MediaTypes.config, digest: DIGEST, size: 2 };
const LAYER = { mediaType: MediaTypes.layerGzip, digest: DIGEST, size: 0 };
const MANIFEST = { schemaVersion: 2, mediaType: MediaTypes.manifest, config: CONFIG, layers: [LAYER] };
const INDEX = {
  schemaVersion: 2,
  manifests: [
    { mediaType: MediaTypes.manifest, digest: DIGEST, size: 7, platform: { os: 'linux', architecture: 'amd64' } },
  ],
};
const IMAGE_CONFIG = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [DIGEST] } };

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

describe('decodeManifest', () => {
  it('members: known ones are kept, unknown ones left out', () => {
    const layer = { ...LAYER, urls: ['https://x'], annotations: { a: 'b' }, extra: 1 };
    const decoded = decodeManifest(json({ ...MANIFEST, extra: { deep: 1 }, layers: [layer], annotations: { k: 'v' } }));
    expect(decoded).toEqual({ ...MANIFEST, layers: [{ ...LAYER, annotations: { a: 'b' } }], annotations: { k: 'v' } });
  });

  it('null: counts as absent, as Go writes empty lists', () => {
    const decoded = decodeManifest(json({ ...MANIFEST, layers: null, annotations: null, mediaType: null }));
    expect(decoded).toEqual({ schemaVersion: 2, config: CONFIG, layers: [] });
  });

  it('Docker: its media types are accepted', () => {
    expect(decodeManifest(json({ ...MANIFEST, mediaType: MediaTypes.dockerManifest })).mediaType).toBe(
      MediaTypes.dockerManifest,
    );
  });

  it.each<[string, unknown, string]>([
    ['a document that is an index as well', { ...MANIFEST, manifests: [] }, 'member "manifests"'],
    [
      'the media type of an index',
      { ...MANIFEST, mediaType: MediaTypes.index },
      'mediaType: not the media type of a manifest',
    ],
    ['schema version 1', { ...MANIFEST, schemaVersion: 1 }, 'schemaVersion'],
    ['no config', { ...MANIFEST, config: undefined }, 'config'],
    [
      'a digest of another algorithm',
      { ...MANIFEST, config: { ...CONFIG, digest: `md5:${'a'.repeat(32)}` } },
      'config.digest',
    ],
    [
      'a digest with a path in it',
      { ...MANIFEST, layers: [{ ...LAYER, digest: 'sha256:../../etc/passwd' }] },
      'layers.0.digest',
    ],
    ['a negative size', { ...MANIFEST, layers: [LAYER, { ...LAYER, size: -1 }] }, 'layers.1.size'],
    ['a fractional size', { ...MANIFEST, layers: [{ ...LAYER, size: 1.5 }] }, 'layers.0.size'],
    ['a size beyond 2^53', { ...MANIFEST, layers: [{ ...LAYER, size: 2 ** 53 }] }, 'layers.0.size'],
    ['a size in a string', { ...MANIFEST, layers: [{ ...LAYER, size: '1' }] }, 'layers.0.size'],
    ['null among the layers', { ...MANIFEST, layers: [null] }, 'layers.0'],
    ['an object for the layers', { ...MANIFEST, layers: {} }, 'layers'],
    ['an annotation that is no string', { ...MANIFEST, annotations: { a: 1 } }, 'annotations.a'],
    ['a list', [MANIFEST], 'schemaVersion'],
    ['null', null, 'manifest: document'],
  ])('refuses %s', (_, document, message) => {
    expect(() => decodeManifest(json(document))).toThrow(FormatError);
    expect(() => decodeManifest(json(document))).toThrow(message);
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('<html>')],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), json(MANIFEST)])],
    ['a second document', Buffer.from('{}{}')],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeManifest(bytes)).toThrow('manifest is not JSON');
  });

  it('size: is limited before anything is parsed', () => {
    const bytes = Buffer.concat([json(MANIFEST), Buffer.alloc(MAX_DOCUMENT_BYTES, ' ')]);
    expect(() => decodeManifest(bytes)).toThrow('larger than 4194304 bytes');
    expect(decodeManifest(bytes.subarray(0, MAX_DOCUMENT_BYTES)).layers).toHaveLength(1);
  });

  it('names: a member __proto__ changes nothing', () => {
    const text = JSON.stringify(MANIFEST).replace('{', '{"__proto__":{"layers":[]},');
    expect(decodeManifest(Buffer.from(text))).toEqual(MANIFEST);
    expect(({} as Record<string, unknown>)['layers']).toBeUndefined();
  });
});

describe('decodeIndex', () => {
  it('members: platforms are kept', () => {
    expect(decodeIndex(json(INDEX))).toEqual(INDEX);
    expect(decodeIndex(json({ schemaVersion: 2, manifests: null }))).toEqual({ schemaVersion: 2, manifests: [] });
  });

  it.each([
    ['layers', { ...INDEX, layers: [] }],
    ['config', { ...INDEX, config: CONFIG }],
    ['fsLayers', { ...INDEX, fsLayers: [] }],
  ])('refuses a document with "%s", which is a manifest as well', (name, document) => {
    expect(() => decodeIndex(json(document))).toThrow(`index has a member "${name}"`);
  });

  it('media type: that of a manifest is refused', () => {
    expect(() => decodeIndex(json({ ...INDEX, mediaType: MediaTypes.dockerManifest }))).toThrow(
      'not the media type of an index',
    );
  });
});

describe('decodeImageConfig', () => {
  it('members: Docker extensions are kept, the rest of Docker is left out', () => {
    const config = {
      User: 'app',
      ExposedPorts: { '80/tcp': {} },
      Env: ['A=b'],
      Entrypoint: ['/x'],
      Cmd: ['y'],
      Volumes: { '/v': {} },
      WorkingDir: '/w',
      Labels: { l: 'm' },
      StopSignal: 'SIGTERM',
      ArgsEscaped: true,
      Healthcheck: { Test: ['CMD', 'z'], Interval: 30_000_000_000, Retries: 3 },
      OnBuild: ['RUN x'],
      Shell: ['/bin/bash', '-c'],
    };
    const history = [{ created: '2020-01-01T00:00:00Z', created_by: 'x', empty_layer: true }];
    const document = {
      ...IMAGE_CONFIG,
      variant: 'v2',
      config: { ...config, Hostname: 'h', Tty: false },
      history,
      docker_version: '1',
    };
    expect(decodeImageConfig(json(document))).toEqual({ ...IMAGE_CONFIG, variant: 'v2', config, history });
  });

  it('absent: config and history are filled in, null lists dropped', () => {
    expect(decodeImageConfig(json(IMAGE_CONFIG))).toEqual({ ...IMAGE_CONFIG, config: {}, history: [] });
    const nulls = { ...IMAGE_CONFIG, config: { Env: null, Cmd: null, Labels: null, Volumes: null }, history: null };
    expect(decodeImageConfig(json(nulls))).toEqual({ ...IMAGE_CONFIG, config: {}, history: [] });
  });

  it('Cmd: a plain string is a list of one', () => {
    expect(decodeImageConfig(json({ ...IMAGE_CONFIG, config: { Cmd: 'top' } })).config.Cmd).toEqual(['top']);
  });

  it.each<[string, unknown]>([
    ['a diff id that is none', { ...IMAGE_CONFIG, rootfs: { type: 'layers', diff_ids: ['abc'] } }],
    ['another rootfs', { ...IMAGE_CONFIG, rootfs: { type: 'blob', diff_ids: [] } }],
    ['no rootfs', { ...IMAGE_CONFIG, rootfs: undefined }],
    ['no architecture', { ...IMAGE_CONFIG, architecture: undefined }],
    ['an env that is no list', { ...IMAGE_CONFIG, config: { Env: 'A=b' } }],
  ])('refuses %s', (_, document) => {
    expect(() => decodeImageConfig(json(document))).toThrow(FormatError);
  });
});

describe('encodeDocument', () => {
  it('bytes: depend on the value alone and decode to it', () => {
    const manifest = decodeManifest(json(MANIFEST));
    const shuffled = decodeManifest(
      json({ layers: [LAYER], config: CONFIG, mediaType: MediaTypes.manifest, schemaVersion: 2 }),
    );
    expect(encodeDocument(manifest).equals(encodeDocument(shuffled))).toBe(true);
    expect(decodeManifest(encodeDocument(manifest))).toEqual(manifest);
    expect(encodeDocument(decodeIndex(json(INDEX))).toString()).toBe(
      `{"manifests":[{"digest":"${DIGEST}","mediaType":"${MediaTypes.manifest}",` +
        `"platform":{"architecture":"amd64","os":"linux"},"size":7}],"schemaVersion":2}`,
    );
  });
});
