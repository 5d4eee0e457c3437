import type { SlotPool } from '../core/concurrency.ts';
import type { Registry } from '../core/registry.ts';
import { together } from '../core/together.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isIndexType, isManifestType } from '../oci/media-type.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { type BlobReader, imageBlobs } from './image-blobs.ts';
import { toReference } from './layout-files.ts';

/** What pushing works with; `slots` bounds the uploads at once. */
export interface PushPorts {
  readonly content: BlobReader;
  readonly registry: Registry;
  readonly slots: SlotPool;
}

/** An image or index, and the names under which registries are to have it. */
export interface PushRequest {
  readonly image: Descriptor;
  readonly names: readonly string[];
  /** `digest`: the manifest is published without its tag. */
  readonly by: 'tag' | 'digest';
  /** Where blobs were pulled from: full references of base images, by blob. Registries that have them there need no upload. */
  readonly origins?: ReadonlyMap<Digest, string>;
  readonly progress?: (status: { readonly id: string; readonly current: number; readonly total: number }) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A name, and the digest under which the registry now has it. */
export interface PushedImage {
  readonly reference: string;
  readonly digest: Digest;
}

/**
 * Publishes an image: blobs in parallel, those that are there already only looked at; then manifests, an index after all of its own;
 * the tag last, so that it never names something incomplete.
 * @throws REGISTRY_UNREACHABLE, REGISTRY_REFUSED, BLOB_NOT_FOUND, REFERENCE_INVALID
 */
export async function pushImage(ports: PushPorts, request: PushRequest): Promise<readonly PushedImage[]> {
  const { blobs } = await imageBlobs(ports.content, request.image, 'refuse');
  const references = request.names.map((name) => toTarget(name, request.by));
  // One after the other: a second name in the same registry mounts what the first one uploaded.
  for (const [place, reference] of references.entries()) {
    const before = references.slice(0, place).find(({ registry }) => registry === reference.registry);
    await pushBlobs(ports, { ...request, reference, blobs, mountFrom: before?.repository });
    await pushManifests(ports, { ...request, reference, blobs });
  }
  return references.map((reference) => ({ reference: formatReference(reference), digest: request.image.digest }));
}

interface Push extends PushRequest {
  readonly reference: Reference;
  readonly blobs: readonly Descriptor[];
  readonly mountFrom?: string | undefined;
}

async function pushBlobs(ports: PushPorts, push: Push): Promise<void> {
  const leaves = push.blobs.filter((blob) => !isDocument(blob));
  await together(
    leaves,
    (blob, signal) => ports.slots.run(() => pushBlob(ports, { ...push, signal }, blob), signal),
    push.signal,
  );
}

async function pushBlob({ content, registry }: PushPorts, push: Push, blob: Descriptor): Promise<void> {
  const { reference, signal } = push;
  const report = (current: number): void => push.progress?.({ id: blob.digest, current, total: blob.size });
  if (!(await registry.hasBlob(reference, blob, { signal }))) {
    const open = (): AsyncIterable<Uint8Array> => counted(content.read(blob, { signal }), report);
    await registry.pushBlob(reference, blob, { open, mountFrom: push.mountFrom ?? originOf(push, blob), signal });
  }
  report(blob.size);
}

/** `blobs` holds what a document refers to before the document. */
async function pushManifests({ content, registry }: PushPorts, push: Push): Promise<void> {
  const { tag: _, ...untagged } = push.reference;
  for (const document of push.blobs.filter(isDocument)) {
    const reference = document.digest === push.image.digest ? push.reference : untagged;
    await registry.pushManifest(reference, document, await content.readDocument(document), { signal: push.signal });
  }
}

function toTarget(name: string, by: PushRequest['by']): Reference {
  const { registry, repository, tag } = toReference(name);
  return { registry, repository, ...(by === 'tag' && { tag: tag ?? 'latest' }) };
}

function originOf({ origins, reference }: Push, blob: Descriptor): string | undefined {
  const origin = parseReference(origins?.get(blob.digest) ?? '');
  if (origin === undefined || origin.registry !== reference.registry) return undefined;
  return origin.repository === reference.repository ? undefined : origin.repository;
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  report: (current: number) => void,
): AsyncGenerator<Uint8Array> {
  let current = 0;
  for await (const chunk of bytes) {
    yield chunk;
    current += chunk.byteLength;
    report(current);
  }
}
