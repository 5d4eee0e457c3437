import type { CacheIndex, ImageNames } from '../core/cache.ts';
import type { Slots } from '../core/concurrency.ts';
import type { ContentStore } from '../core/content.ts';
import { BuildError, invariant, isBuildError } from '../core/error.ts';
import type { LayerCodec } from '../core/layer-codec.ts';
import type { Registry } from '../core/registry.ts';
import type { Snapshotter } from '../core/snapshot.ts';
import type { ImageSource, ResolvedImage } from '../core/source.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { openLayerFetcher } from './image-layers.ts';
import { type ImageOrigin, registryOrigin } from './image-origin.ts';
import { pinImage } from './image-pin.ts';
import { isLayoutReference, openLayout } from './oci-layout.ts';
import { storedRoot } from './stored-image.ts';

/** What an image source works with. */
export interface ImageSourcePorts {
  readonly content: ContentStore;
  readonly index: CacheIndex;
  readonly names: ImageNames;
  /** Called when a registry is first needed. */
  readonly registry: () => Registry;
  readonly layers: LayerCodec;
  readonly snapshots: Pick<Snapshotter, 'has' | 'remove'>;
  readonly slots: Pick<Slots, 'net' | 'io'>;
  /** What relative paths of `oci-layout://` start from; the process' directory if absent. */
  readonly cwd?: string;
}

type ResolveOptions = Parameters<ImageSource['resolve']>[1];

/** An image as it was resolved, and where the rest of it is. */
interface KnownImage {
  readonly image: ResolvedImage;
  readonly origin: ImageOrigin | undefined;
  /** The name to give it once it is whole, and what the registry has under that name. */
  readonly pulled?: { readonly name: string; readonly root: Descriptor };
}

const IMAGE_SCHEME = 'docker-image://';

/**
 * Images by reference: from the store's names, from layouts, from registries, in the order that the pull policy allows.
 * An image that came from a registry gets its name in the store as soon as all its layers are there, so that the next build needs no network.
 */
export function openImageSource(ports: ImageSourcePorts): ImageSource {
  const known = new Map<Digest, KnownImage>();
  const fetcher = openLayerFetcher(ports);
  const remember = (found: KnownImage): ResolvedImage => {
    // A name once learnt stays, whatever other reference leads to the same manifest later.
    const { manifest } = found.image;
    known.set(manifest.digest, found.pulled === undefined ? { ...known.get(manifest.digest), ...found } : found);
    return found.image;
  };
  return {
    resolve: async (text, o) =>
      remember(isLayoutReference(text) ? await resolveInLayout(ports, text, o) : await resolveByName(ports, text, o)),
    layers: async (manifest, o) => {
      const found = known.get(manifest);
      invariant(found !== undefined, `layers of ${manifest}, which was not resolved`);
      const { image, origin, pulled } = found;
      const diffIds = image.config.rootfs.diff_ids;
      const layers = image.layers.flatMap((blob, i) => {
        const diffId = diffIds[i];
        return diffId === undefined ? [] : [{ blob, diffId }];
      });
      const stack = await fetcher.fetch(layers, origin, o);
      if (pulled !== undefined) await ports.names.set(pulled.name, pulled.root);
      return stack;
    },
  };
}

async function resolveInLayout(ports: ImageSourcePorts, reference: string, o: ResolveOptions): Promise<KnownImage> {
  const { root, origin } = await openLayout(reference, ports.cwd ?? process.cwd());
  return pin(ports, { ...o, reference, root, origin });
}

async function resolveByName(ports: ImageSourcePorts, text: string, o: ResolveOptions): Promise<KnownImage> {
  const name = text.startsWith(IMAGE_SCHEME) ? text.slice(IMAGE_SCHEME.length) : text;
  const reference = parseReference(name);
  if (reference === undefined) throw new BuildError('REFERENCE_INVALID', { reference: name });
  const stored = o.pull === 'always' ? {} : await resolveInStore(ports, reference, o);
  if (stored.image !== undefined) return stored.image;
  if (o.pull === 'never') {
    const reason = 'it is not in the store, and the pull policy is never';
    throw stored.failure ?? new BuildError('IMAGE_NOT_FOUND', { reference: formatReference(reference), reason });
  }
  return resolveInRegistry(ports, reference, o).catch((error: unknown) => {
    const absent = isBuildError(error, 'IMAGE_NOT_FOUND') || isBuildError(error, 'REGISTRY_UNREACHABLE');
    // What is known of the image at hand says more than that there is no other one.
    throw absent && stored.failure !== undefined ? stored.failure : error;
  });
}

/** Nothing where the store has no such image, or not all of its documents; `failure` where it has none for the platform. */
async function resolveInStore(
  ports: ImageSourcePorts,
  reference: Reference,
  o: ResolveOptions,
): Promise<{ readonly image?: KnownImage; readonly failure?: BuildError }> {
  const root = await storedRoot(ports, reference);
  if (root === undefined) return {};
  const origin = o.pull === 'never' ? undefined : registryOrigin(ports.registry, reference);
  try {
    return { image: await pin(ports, { ...o, reference: formatReference(reference), root, origin }) };
  } catch (error) {
    if (isBuildError(error, 'BLOB_NOT_FOUND')) return {};
    if (isBuildError(error, 'PLATFORM_NOT_FOUND')) return { failure: error };
    throw error;
  }
}

async function resolveInRegistry(
  ports: ImageSourcePorts,
  reference: Reference,
  o: ResolveOptions,
): Promise<KnownImage> {
  const name = formatReference(reference);
  const registry = ports.registry();
  const root = await ports.slots.net.run(() => registry.resolve(reference, { signal: o.signal }), o.signal);
  if (root === undefined) {
    throw new BuildError('IMAGE_NOT_FOUND', { reference: name, reason: `${reference.registry} does not have it` });
  }
  const found = await pin(ports, { ...o, reference: name, root, origin: registryOrigin(ports.registry, reference) });
  return reference.digest === undefined ? { ...found, pulled: { name, root } } : found;
}

async function pin(
  ports: ImageSourcePorts,
  o: ResolveOptions & { reference: string; root: Descriptor; origin: ImageOrigin | undefined },
): Promise<KnownImage> {
  const { descriptor, manifest, config } = await pinImage(ports.content, o);
  const { mediaType, digest, size } = descriptor;
  const image: ResolvedImage = {
    reference: o.reference,
    manifest: { mediaType, digest, size },
    configDigest: manifest.config.digest,
    config,
    layers: manifest.layers,
  };
  return { image, origin: o.origin };
}
