import { describe, expect, it } from 'vitest';
import { isBuildError } from '../../src/core/error.ts';
import type { Registry } from '../../src/core/registry.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { MediaTypes } from '../../src/oci/media-type.ts';
import type { Reference } from '../../src/oci/reference.ts';
import { openRegistry } from '../../src/registry/http-registry.ts';
import { chunked } from '../support/store-rig.ts';

/** A registry that listens on loopback. */
export interface RegistryServerUnderTest extends AsyncDisposable {
  readonly host: string;
}

/** What a registry and the client do together, whatever registry it is: so the fake one cannot lie. */
export function registryServerContract(name: string, start: () => Promise<RegistryServerUnderTest>): void {
  describe(`registry: ${name}`, () => {
    it('blob: comes back as it was pushed', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const reference = { registry: server.host, repository: 'a/b' };
      const { blob, open } = blobOf(Buffer.alloc(3_000_001, 'abcdefg'));
      expect(await registry.hasBlob(reference, blob)).toBe(false);
      await registry.pushBlob(reference, blob, { open });
      expect(await registry.hasBlob(reference, blob)).toBe(true);
      const bytes = Buffer.concat(await Array.fromAsync(registry.fetchBlob(reference, blob)));
      expect(digestOf(bytes)).toBe(blob.digest);
    });
    it('blob: pushed twice is fine', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const reference = { registry: server.host, repository: 'twice' };
      const { blob, open } = blobOf(Buffer.from('hello'));
      await registry.pushBlob(reference, blob, { open });
      await registry.pushBlob(reference, blob, { open });
      expect(await registry.hasBlob(reference, blob)).toBe(true);
    });
    it('blob: one with other bytes than its digest says is refused', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const reference = { registry: server.host, repository: 'wrong' };
      const blob = { digest: digestOf('something else'), size: 5 };
      expect(await codeOf(registry.pushBlob(reference, blob, { open: () => chunked('hello') }))).toBe(
        'REGISTRY_REFUSED',
      );
      expect(await registry.hasBlob(reference, blob)).toBe(false);
    });
    it('blob: is mounted from another repository without being sent', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const { blob, open } = blobOf(Buffer.from('shared'));
      await registry.pushBlob({ registry: server.host, repository: 'from' }, blob, { open });
      const to = { registry: server.host, repository: 'to' };
      await registry.pushBlob(to, blob, { open: () => expect.unreachable('the blob was sent'), mountFrom: 'from' });
      expect(await registry.hasBlob(to, blob)).toBe(true);
    });
    it('blob: what cannot be mounted is sent', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const to = { registry: server.host, repository: 'to' };
      const { blob, open } = blobOf(Buffer.from('not there'));
      await registry.pushBlob(to, blob, { open, mountFrom: 'from' });
      expect(await registry.hasBlob(to, blob)).toBe(true);
    });
    it('blob: a missing one is an image that is not whole', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const reference = { registry: server.host, repository: 'a' };
      const { blob } = blobOf(Buffer.from('never pushed'));
      expect(await codeOf(Array.fromAsync(registry.fetchBlob(reference, blob)))).toBe('IMAGE_NOT_FOUND');
    });
    it('manifest: a tag and a digest lead to what was pushed', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const tagged = { registry: server.host, repository: 'app', tag: 'v1' };
      const { descriptor, bytes } = await pushEmptyImage(registry, tagged);
      expect(await registry.resolve(tagged)).toEqual(descriptor);
      const pinned = { registry: server.host, repository: 'app', digest: descriptor.digest };
      expect(await registry.resolve(pinned)).toEqual(descriptor);
      expect(Buffer.from(await registry.fetchManifest(pinned, descriptor)).equals(bytes)).toBe(true);
    });
    it('manifest: without a tag it is known by its digest only', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const untagged = { registry: server.host, repository: 'app' };
      const { descriptor } = await pushEmptyImage(registry, untagged);
      expect(await registry.resolve({ ...untagged, digest: descriptor.digest })).toEqual(descriptor);
      expect(await registry.resolve(untagged)).toBeUndefined();
    });
    it('manifest: an unknown tag, repository or digest is absent', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const repository = { registry: server.host, repository: 'nothing' };
      expect(await registry.resolve({ ...repository, tag: 'v1' })).toBeUndefined();
      expect(await registry.resolve({ ...repository, digest: digestOf('x') })).toBeUndefined();
      const descriptor = { mediaType: MediaTypes.manifest, digest: digestOf('x'), size: 1 };
      expect(await codeOf(registry.fetchManifest(repository, descriptor))).toBe('IMAGE_NOT_FOUND');
    });
    it('manifest: a config is fetched like any small document', async () => {
      await using server = await start();
      await using registry = openTestRegistry();
      const reference = { registry: server.host, repository: 'app' };
      const { blob, open } = blobOf(Buffer.from('{"a":1}'));
      await registry.pushBlob(reference, blob, { open });
      const bytes = await registry.fetchManifest(reference, { mediaType: MediaTypes.config, ...blob });
      expect(Buffer.from(bytes).toString()).toBe('{"a":1}');
    });
  });
}

/** A client without mirrors and credentials that does not wait long. */
export function openTestRegistry(o: Partial<Parameters<typeof openRegistry>[0]> = {}): Registry {
  return openRegistry({
    mirrors: new Map(),
    insecure: [],
    userAgent: 'test',
    ...o,
    limits: { backoffMs: 1, ...o.limits },
  });
}

/** Bytes as a blob that can be pushed. */
export function blobOf(bytes: Buffer): {
  blob: { digest: Descriptor['digest']; size: number };
  open: () => AsyncIterable<Uint8Array>;
} {
  return { blob: { digest: digestOf(bytes), size: bytes.length }, open: () => chunked(bytes, 100_000) };
}

/** The code of the BuildError that `work` fails with; anything else fails the test. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => expect.unreachable('it did not fail'),
    (reason: unknown) => reason,
  );
  if (isBuildError(error)) return error.code;
  throw error;
}

/** Pushes an image without layers. */
export async function pushEmptyImage(
  registry: Registry,
  reference: Reference,
): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer }> {
  const config = blobOf(
    Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } })),
  );
  await registry.pushBlob(reference, config.blob, { open: config.open });
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaTypes.manifest,
    config: { mediaType: MediaTypes.config, ...config.blob },
    layers: [],
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = { mediaType: MediaTypes.manifest, digest: digestOf(bytes), size: bytes.length };
  await registry.pushManifest(reference, descriptor, bytes);
  return { descriptor, bytes };
}
