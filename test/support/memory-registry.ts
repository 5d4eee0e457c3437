import { BuildError } from '../../src/core/error.ts';
import type { Registry } from '../../src/core/registry.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { Reference } from '../../src/oci/reference.ts';

/** A registry that lives as long as the test, and remembers in which order it was asked for what. */
export interface MemoryRegistry extends Registry {
  /** `push REPOSITORY DIGEST`, `mount …`, `manifest REPOSITORY TAG-OR-DIGEST`. */
  readonly log: readonly string[];
}

/** An empty registry. It refuses manifests whose parts it has not. */
export function memoryRegistry(): MemoryRegistry {
  const log: string[] = [];
  const blobs = new Map<string, Uint8Array>();
  const manifests = new Map<string, { readonly mediaType: string; readonly bytes: Uint8Array }>();
  return {
    log,
    resolve: async (reference) => {
      const found = manifests.get(at(reference, reference.digest ?? reference.tag ?? 'latest'));
      return found && { mediaType: found.mediaType, digest: digestOf(found.bytes), size: found.bytes.byteLength };
    },
    fetchManifest: async (reference, { digest }) => {
      const found = manifests.get(at(reference, digest));
      if (found === undefined) throw new BuildError('IMAGE_NOT_FOUND', { reference: digest });
      return found.bytes;
    },
    fetchBlob: async function* fetchBlob(reference, { digest }) {
      const bytes = blobs.get(at(reference, digest));
      if (bytes === undefined) throw new BuildError('BLOB_NOT_FOUND', { digest });
      yield bytes;
    },
    hasBlob: async (reference, { digest }) => blobs.has(at(reference, digest)),
    pushBlob: async (reference, { digest }, { open, mountFrom }) => {
      const mounted =
        mountFrom === undefined ? undefined : blobs.get(at({ ...reference, repository: mountFrom }, digest));
      log.push(`${mounted === undefined ? 'push' : 'mount'} ${reference.repository} ${digest}`);
      const bytes = mounted ?? Buffer.concat(await Array.fromAsync(open()));
      if (digestOf(bytes) !== digest) throw refused('digest invalid');
      blobs.set(at(reference, digest), bytes);
    },
    pushManifest: async (reference, { mediaType, digest }, bytes) => {
      for (const part of partsOf(bytes)) {
        if (!blobs.has(at(reference, part)) && !manifests.has(at(reference, part)))
          throw refused(`manifest names unknown ${part}`);
      }
      log.push(`manifest ${reference.repository} ${reference.tag ?? digest}`);
      for (const name of [digest, reference.tag])
        if (name !== undefined) manifests.set(at(reference, name), { mediaType, bytes });
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function at({ registry, repository }: Reference, what: string): string {
  return `${registry}/${repository} ${what}`;
}

function partsOf(bytes: Uint8Array): readonly Digest[] {
  type Part = { readonly digest: Digest };
  const document = JSON.parse(Buffer.from(bytes).toString()) as {
    config?: Part;
    layers?: readonly Part[];
    manifests?: readonly Part[];
  };
  const parts = [
    ...(document.config ? [document.config] : []),
    ...(document.layers ?? []),
    ...(document.manifests ?? []),
  ];
  return parts.map(({ digest }) => digest);
}

function refused(reason: string): BuildError {
  return new BuildError('REGISTRY_REFUSED', { registry: 'memory', status: 400, reason });
}
